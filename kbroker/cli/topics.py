"""`kbroker topics`: list, describe, create, delete and enlarge topics."""

from __future__ import annotations

import click

from kbroker.cli.completion import complete_topic
from kbroker.cli.configs import changed_settings, split_assignments
from kbroker.cli.connection import (
    CommandError,
    Target,
    explain_code,
    open_admin,
    remote,
)
from kbroker.cli.lazy_commands import show_help_alone
from kbroker.cli.tables import show_json, show_table
from kbroker.cli.topic_names import UNKNOWN_TOPIC, describe_topics

ALREADY_EXISTS = 36


@click.group("topics", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> int:
    """List, describe, create, delete and enlarge topics."""
    return show_help_alone(context)


@command.command("list")
@click.option("--exclude-internal", is_flag=True, help="Leave out the broker's own topics.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@remote
def list_topics(target: Target, *, exclude_internal: bool, as_json: bool) -> int:
    """List the topics with their partitions and replicas."""
    with open_admin(target) as admin:
        topics = describe_topics(admin, None)
    rows = [
        {
            "name": topic["name"],
            "partitions": len(topic["partitions"]),
            "replication_factor": len(topic["partitions"][0]["replicas"]),
            "internal": topic["internal"],
        }
        for topic in topics
        if topic["partitions"] and not (exclude_internal and topic["internal"])
    ]
    if as_json:
        show_json(rows)
    else:
        show_table(
            ("TOPIC", "PARTITIONS", "REPLICAS", "INTERNAL"), [tuple(row.values()) for row in rows]
        )
    return 0


@command.command("describe")
@click.argument("names", metavar="TOPIC...", nargs=-1, required=True, shell_complete=complete_topic)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@remote
def describe(target: Target, *, names: tuple[str, ...], as_json: bool) -> int:
    """Show partitions, leaders and replicas of topics, and the settings that were changed."""
    with open_admin(target) as admin:
        topics = describe_topics(admin, sorted(set(names)))
        settings = changed_settings(admin, "topic", [topic["name"] for topic in topics])
    if as_json:
        show_json([{**topic, "settings": settings[topic["name"]]} for topic in topics])
        return 0
    for number, topic in enumerate(topics):
        if number:
            click.echo()
        changed = " ".join(f"{key}={value}" for key, value in settings[topic["name"]].items())
        click.echo(f"Topic {topic['name']}, id {topic['id']}")
        click.echo(f"Settings: {changed or 'all default'}")
        show_table(
            ("PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN SYNC"),
            [
                (
                    each["partition"],
                    each["leader"],
                    each["leader_epoch"],
                    _numbers(each["replicas"]),
                    _numbers(each["isr"]),
                )
                for each in topic["partitions"]
            ],
        )
    return 0


def _numbers(values: list[int]) -> str:
    return ",".join(map(str, values))


@command.command("create")
@click.argument("names", metavar="TOPIC...", nargs=-1, required=True)
@click.option(
    "--partitions", type=click.IntRange(min=1), metavar="N", help="[default: the broker's]"
)
@click.option(
    "--replication-factor", type=click.IntRange(min=1), metavar="N", help="[default: the broker's]"
)
@click.option(
    "--config", "assignments", metavar="KEY=VALUE", multiple=True, help="One setting; may repeat."
)
@click.option("--if-not-exists", is_flag=True, help="A topic that is there already is no failure.")
@remote
def create(
    target: Target,
    *,
    names: tuple[str, ...],
    partitions: int | None,
    replication_factor: int | None,
    assignments: tuple[str, ...],
    if_not_exists: bool,
) -> int:
    """Create topics."""
    wanted = {
        "num_partitions": partitions or -1,
        "replication_factor": replication_factor or -1,
        "configs": split_assignments(assignments),
    }
    with open_admin(target) as admin:
        answer = admin.create_topics(
            dict.fromkeys(names, wanted), timeout_ms=target.timeout_ms, raise_errors=False
        )
    for topic in answer["topics"]:
        if not topic["error_code"]:
            count = int(topic["num_partitions"])
            click.echo(f"created {topic['name']} with {count} partition{'s' * (count != 1)}")
    _raise_failures(answer["topics"], {ALREADY_EXISTS} if if_not_exists else set())
    return 0


@command.command("delete")
@click.argument("names", metavar="TOPIC...", nargs=-1, required=True, shell_complete=complete_topic)
@click.option("--if-exists", is_flag=True, help="A topic that is not there is no failure.")
@remote
def delete(target: Target, *, names: tuple[str, ...], if_exists: bool) -> int:
    """Delete topics and all their records."""
    with open_admin(target) as admin:
        answer = admin.delete_topics(
            list(dict.fromkeys(names)), timeout_ms=target.timeout_ms, raise_errors=False
        )
    for topic in answer["topics"]:
        if not topic["error_code"]:
            click.echo(f"deleted {topic['name']}")
    _raise_failures(answer["topics"], {UNKNOWN_TOPIC} if if_exists else set())
    return 0


@command.command("alter")
@click.argument("name", metavar="TOPIC", shell_complete=complete_topic)
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    metavar="N",
    required=True,
    help="How many there are to be; more than now.",
)
@remote
def alter(target: Target, *, name: str, partitions: int) -> int:
    """Add partitions to a topic. Its settings are changed with: kbroker configs set topic NAME."""
    with open_admin(target) as admin:
        answer = admin.create_partitions(
            {name: partitions}, timeout_ms=target.timeout_ms, raise_errors=False
        )
    _raise_failures([result.to_dict() for result in answer.results], set())
    click.echo(f"{name} has {partitions} partitions")
    return 0


def _raise_failures(results: list[dict[str, object]], accepted: set[int]) -> None:
    """CommandError that names each topic the broker refused; the others were done."""
    failures = []
    for result in results:
        code = int(str(result["error_code"]))
        if code == UNKNOWN_TOPIC and code not in accepted:
            failures.append(f"there is no topic {result['name']}")
        elif code and code not in accepted:
            message = result.get("error_message")
            words = explain_code(code, None if message is None else str(message))
            failures.append(f"topic {result['name']}: {words}")
    if failures:
        raise CommandError("; ".join(failures))
