"""`kbroker dump-log`: what stands in the files of a data directory, without a broker.

Kafka's files are read just as well. What is damaged is said in one line with its position.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import click

from kbroker.cli.connection import end_quietly, refuse
from kbroker.cli.dump_batches import Wanted, read_batches
from kbroker.cli.dump_files import Damage, Item, is_known, map_file, plain_name, read_small_file
from kbroker.cli.progress import Advance, ignore, progress
from log.segment import LOG_SUFFIX

CHECKPOINT_SUFFIX = ".checkpoint"
"""Kafka's snapshots of cluster metadata are batches of records, like segments."""


@dataclass(frozen=True, slots=True)
class Printer:
    """Where lines go, and in which shape."""

    stream: BinaryIO
    as_json: bool

    def start(self, path: str) -> None:
        if not self.as_json:
            self.stream.write(f"{path}\n".encode(errors="surrogateescape"))

    def show(self, path: str, item: Item) -> None:
        if self.as_json:
            line = json.dumps({"file": path, **item.fields}, ensure_ascii=False)
        else:
            line = f"  {item.text}"
        self.stream.write(f"{line}\n".encode(errors="backslashreplace"))


@click.command("dump-log")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--records", is_flag=True, help="The records of each batch as well.")
@click.option(
    "--offsets", is_flag=True, help="The records of __consumer_offsets: what groups committed."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def command(*, paths: tuple[str, ...], records: bool, offsets: bool, as_json: bool) -> int:
    """Show what stands in segments, indexes, snapshots and checkpoints. No broker is needed.

    A directory stands for all the files in it that are known. Damage is one line on standard error
    with file and position, and status 1; the other files are shown all the same.
    """
    wanted = Wanted(records=records or offsets, offsets=offsets)
    printer = Printer(sys.stdout.buffer, as_json)
    status = 0
    try:
        files = list(expand(paths))
        total = sum(os.path.getsize(path) for path in files if os.path.isfile(path))
        shown = not sys.stdout.isatty()
        with progress("reading", total=total, in_bytes=True, wanted=shown) as advance:
            for path in files:
                try:
                    dump(path, wanted, printer, advance)
                except Damage as damage:
                    printer.stream.flush()
                    status = refuse(f"{path}: {damage}")
                except BrokenPipeError:
                    raise
                except OSError as error:
                    status = refuse(f"cannot read {path}: {error.strerror}")
        printer.stream.flush()
    except BrokenPipeError:
        return end_quietly()
    return status


def expand(paths: tuple[str, ...]) -> Iterator[str]:
    """The files named, and those known in directories named, by name."""
    for path in paths:
        if os.path.isdir(path):
            yield from (
                os.path.join(path, name) for name in sorted(os.listdir(path)) if is_file(name)
            )
        else:
            yield path


def is_file(name: str) -> bool:
    return is_segment(name) or is_known(name)


def is_segment(name: str) -> bool:
    plain = plain_name(name)
    return plain.endswith((LOG_SUFFIX, CHECKPOINT_SUFFIX))


def dump(path: str, wanted: Wanted, printer: Printer, advance: Advance = ignore) -> None:
    """Print one file. Damage, OSError."""
    name = os.path.basename(path)
    if not is_file(name):
        os.stat(path)
        raise Damage("not a file of a data directory, by its name")
    data = map_file(path)
    printer.start(path)
    if is_segment(name):
        for item in read_batches(data, wanted, advance):
            printer.show(path, item)
    else:
        for item in read_small_file(path, data):
            printer.show(path, item)
        advance(len(data))
