"""Ctrl-C that waits for what must not be cut in two."""

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
