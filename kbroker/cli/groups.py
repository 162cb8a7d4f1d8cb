"""`kbroker groups`: list, describe and delete consumer groups, and move them to other offsets."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from kbroker.cli.completion import complete_group, complete_topic
from kbroker.cli.connection import CommandError, Target, open_admin, remote, retried, send
from kbroker.cli.group_listing import (
    Group,
    Progress,
    describe_group,
    explain_result,
    find_coordinator,
    find_progress,
    list_groups,
)
from kbroker.cli.group_offsets import plan_reset, reset
from kbroker.cli.lazy_commands import show_help_alone
from kbroker.cli.positions import HELP, Position, convert_position
from kbroker.cli.tables import show_json, show_table

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

NAMES = click.argument(
    "names", metavar="GROUP...", nargs=-1, required=True, shell_complete=complete_group
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("groups", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> int:
    """Consumer groups: members, lag, resetting of offsets."""
    return show_help_alone(context)


@command.command("list")
@click.option("--state", metavar="STATE", help="Only groups in this state, such as Stable.")
@AS_JSON
@remote
def list_all(target: Target, *, state: str | None, as_json: bool) -> int:
    """List the groups and their states."""
    with open_admin(target) as admin:
        groups = [
            group
            for group in list_groups(admin, target)
            if state is None or group["state"].lower() == state.lower()
        ]
    if as_json:
        show_json(groups)
    else:
        show_table(
            ("GROUP", "STATE", "TYPE", "PROTOCOL TYPE"), [tuple(group.values()) for group in groups]
        )
    return 0


@command.command("describe")
@NAMES
@AS_JSON
@remote
def describe(target: Target, *, names: tuple[str, ...], as_json: bool) -> int:
    """Show members of groups, the offsets they committed, and how far they are behind."""
    with open_admin(target) as admin:
        groups = [describe_group(admin, target, name) for name in dict.fromkeys(names)]
        described = [(group, find_progress(admin, target, group)) for group in groups]
    if as_json:
        show_json([{**group, "offsets": progress} for group, progress in described])
        return 0
    for number, (group, progress) in enumerate(described):
        if number:
            click.echo()
        _show(group, progress)
    return 0


def _show(group: Group, progress: list[Progress]) -> None:
    protocol = f", assigned by {group['protocol']}" if group["protocol"] else ""
    click.echo(f"Group {group['name']}, {group['state']}{protocol}")
    if group["members"]:
        show_table(
            ("MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS"),
            [
                (
                    member["member_id"],
                    member["instance_id"],
                    member["client_id"],
                    member["host"],
                    " ".join(
                        f"{topic}:{','.join(map(str, numbers))}"
                        for topic, numbers in sorted(member["partitions"].items())
                    )
                    or None,
                )
                for member in group["members"]
            ],
        )
        click.echo()
    show_table(
        ("TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"),
        [
            (
                each["topic"],
                each["partition"],
                each["committed"],
                each["end"],
                each["lag"],
                each["member_id"],
            )
            for each in progress
        ],
    )


@command.command("delete")
@NAMES
@remote
def delete(target: Target, *, names: tuple[str, ...]) -> int:
    """Delete groups that have no members, and their offsets."""
    failures = []
    with open_admin(target) as admin:
        for name in dict.fromkeys(names):
            code = retried(target, functools.partial(_delete, admin, name))
            if code:
                failures.append(explain_result(name, code))
            else:
                click.echo(f"deleted {name}")
    if failures:
        raise CommandError("; ".join(failures))
    return 0


def _delete(admin: KafkaAdminClient, name: str) -> int:
    """The broker's error code."""
    from kafka.protocol.admin import DeleteGroupsRequest

    request = DeleteGroupsRequest(groups_names=[name])
    (result,) = send(admin, request, find_coordinator(admin, name)).results
    return int(result.error_code)


@command.command("reset-offsets")
@click.argument("name", metavar="GROUP", shell_complete=complete_group)
@click.option(
    "--topic",
    "topics",
    metavar="TOPIC[:PARTITION,...]",
    multiple=True,
    shell_complete=complete_topic,
    help="Which to move in; may repeat.",
)
@click.option("--all-topics", is_flag=True, help="All that the group committed in.")
@click.option("--to", metavar="WHERE", required=True, callback=convert_position, help=HELP)
@click.option("--execute", is_flag=True, help="Do it; without, only show what would be done.")
@AS_JSON
@remote
def reset_offsets(
    target: Target,
    *,
    name: str,
    topics: tuple[str, ...],
    all_topics: bool,
    to: Position,
    execute: bool,
    as_json: bool,
) -> int:
    """Move a group without members to another place. Shows the plan; --execute carries it out."""
    if bool(topics) == all_topics:
        raise click.UsageError("name each --topic to move in, or say --all-topics")
    with open_admin(target) as admin:
        moves = plan_reset(admin, target, name, topics, to)
        if execute:
            reset(admin, target, name, moves)
    rows = [
        {"topic": move.topic, "partition": move.partition, "committed": move.old, "new": move.new}
        for move in moves
    ]
    if as_json:
        show_json(rows)
    else:
        show_table(
            ("TOPIC", "PARTITION", "COMMITTED", "NEW"), [tuple(row.values()) for row in rows]
        )
    if not execute:
        click.echo("kbroker: nothing was changed; to do it add --execute", err=True)
    return 0
