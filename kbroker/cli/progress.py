"""A progress bar for long work: on standard error, and only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


def is_wanted() -> bool:
    return sys.stderr.isatty()


@contextmanager
def progress(
    label: str, *, total: int | None, in_bytes: bool = False, wanted: bool = True
) -> Iterator[Advance]:
    """Gives what to call with how much was done since; a `total` of None is not known.

    Where standard error is no terminal, or it is not `wanted`, nothing is shown.
    """
    if not (wanted and is_wanted()):
        yield ignore
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount)
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.update(task, advance=count)


def ignore(count: int) -> None:
    """Nobody looks."""
