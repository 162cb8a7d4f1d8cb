"""Ctrl-C that waits for what must not be cut in two, and an end for what might never end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def holding_interrupts() -> Iterator[None]:
    """KeyboardInterrupt comes at the end of the block rather than within it; a second one at once.

    For the main thread. A mask of signals would not do: another thread would take it.
    """
    held = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal held
        if held:
            raise KeyboardInterrupt
        held = True

    before: Callable[[int, FrameType | None], object] | int | None = signal.signal(
        signal.SIGINT, hold
    )
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt


class _OutOfTime(BaseException):
    """Not an Exception: what is given up must not take it for an error of its own."""


@contextmanager
def giving_up_after(seconds: float) -> Iterator[None]:
    """Leave the block after so long, wherever it is: for what should end, and may not.

    For the main thread, and not one within another.
    """

    def ring(number: int, frame: FrameType | None) -> None:
        raise _OutOfTime

    before: Callable[[int, FrameType | None], object] | int | None = signal.signal(
        signal.SIGALRM, ring
    )
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _OutOfTime:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
