"""Listings: a table for people, JSON for programs.

On a terminal rich lays the table out and folds what is too wide, so that nothing is cut away. In a
pipe the columns are aligned, each row is one line, and there is neither colour nor frame.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence

import click

UNLIMITED_WIDTH = 1_000_000
NOTHING = "-"


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print rows under their columns' names; numbers stand to the right. None is a dash."""
    click.echo(layout(columns, list(rows), title, width=terminal_width()), nl=False)


def show_json(value: object) -> None:
    """Print one JSON document, in UTF-8 wherever the locale stands."""
    write_out(f"{json.dumps(value, indent=2, ensure_ascii=False)}\n".encode())


def write_out(data: bytes) -> None:
    """Bytes to standard output, and on their way."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def terminal_width() -> int | None:
    """None where standard output is no terminal."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def layout(
    columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "", *, width: int | None
) -> str:
    """The table as text: folded at `width`, or of plain lines where there is none."""
    import io

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        values = [row[number] for row in rows]
        is_number = {type(value) for value in values} - {type(None)} == {int}
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text(printable(value)) for value in row])
    output = io.StringIO()
    console = Console(
        file=output,
        width=width or UNLIMITED_WIDTH,
        force_terminal=width is not None,
        color_system="standard" if width is not None else None,
        legacy_windows=False,
    )
    if title:
        console.print(Text(title, style="bold"))
    console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in output.getvalue().splitlines())


def printable(value: object) -> str:
    """A cell: control characters are written out, so that no name can steer a terminal."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
