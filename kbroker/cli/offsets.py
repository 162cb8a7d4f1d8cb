"""`kbroker offsets`: where partitions begin and end, and deleting the records below an offset."""

from __future__ import annotations

import click

from kbroker.cli.completion import complete_topic
from kbroker.cli.connection import CommandError, Target, open_admin, remote
from kbroker.cli.lazy_commands import show_help_alone
from kbroker.cli.positions import (
    HELP,
    Kind,
    Position,
    convert_position,
    find_offsets,
)
from kbroker.cli.tables import show_json, show_table
from kbroker.cli.topic_names import find_partitions

PARTITIONS = click.argument(
    "names",
    metavar="TOPIC[:PARTITION,...]...",
    nargs=-1,
    required=True,
    shell_complete=complete_topic,
)


@click.group("offsets", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> int:
    """Offsets of partitions; deleting records below one."""
    return show_help_alone(context)


@command.command("get")
@PARTITIONS
@click.option("--at", metavar="WHERE", callback=convert_position, help=HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@remote
def get(target: Target, *, names: tuple[str, ...], at: Position | None, as_json: bool) -> int:
    """Show where partitions begin and end, or with --at the offset of a place in them."""
    places = (
        {"beginning": Position(Kind.BEGINNING), "end": Position(Kind.END)}
        if at is None
        else {"offset": at}
    )
    with open_admin(target) as admin:
        partitions = find_partitions(admin, names)
        found = {name: find_offsets(admin, each, partitions) for name, each in places.items()}
    rows = []
    for partition in partitions:
        row = {"topic": partition.topic, "partition": partition.partition}
        row |= {name: offsets[partition] for name, offsets in found.items()}
        if at is None:
            row["span"] = row["end"] - row["beginning"]
        rows.append(row)
    if as_json:
        show_json(rows)
    else:
        show_table([key.upper() for key in rows[0]], [tuple(row.values()) for row in rows])
    return 0


@command.command("delete-records")
@PARTITIONS
@click.option(
    "--before",
    metavar="WHERE",
    required=True,
    callback=convert_position,
    help=f"{HELP}; the record there is the first that stays.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@remote
def delete_records(
    target: Target, *, names: tuple[str, ...], before: Position, as_json: bool
) -> int:
    """Delete all records before a place. They are gone for every reader."""
    with open_admin(target) as admin:
        partitions = find_partitions(admin, names)
        wanted = find_offsets(admin, before, partitions)
        if before.kind is Kind.OFFSET:
            # An offset that a person names is not moved to one that there is.
            ends = find_offsets(admin, Position(Kind.END), partitions)
            for partition in partitions:
                if ends[partition] < before.number:
                    raise CommandError(
                        f"{partition.topic}:{partition.partition} ends at {ends[partition]}, below"
                        f" {before.number} (OFFSET_OUT_OF_RANGE)"
                    )
            wanted = dict.fromkeys(partitions, before.number)
        answer = admin.delete_records(wanted, timeout_ms=target.timeout_ms)
    rows = [
        {
            "topic": partition.topic,
            "partition": partition.partition,
            "beginning": int(answer[partition]["low_watermark"]),
        }
        for partition in partitions
    ]
    if as_json:
        show_json(rows)
    else:
        show_table(("TOPIC", "PARTITION", "BEGINNING"), [tuple(row.values()) for row in rows])
    return 0
