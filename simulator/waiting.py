"""Waiting for tasks of which each may fail the run."""

from __future__ import annotations

import asyncio

from simulator.invariant_error import InvariantError


async def first_failure(
    tasks: list[asyncio.Task[None]], *, until: asyncio.Task[None] | None, timeout_s: float | None
) -> None:
    """Wait for all, or for one of them; whatever one raises ends the run."""
    pending = set(tasks)
    deadline = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
    while pending and not (until is not None and until.done()):
        left = None if deadline is None else deadline - asyncio.get_running_loop().time()
        done, pending = await asyncio.wait(
            pending, timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        for task in sorted(done, key=lambda task: task.get_name()):
            task.result()
        if not done:
            names = ", ".join(sorted(task.get_name() for task in pending))
            raise InvariantError(f"not finished {timeout_s} s after the last fault: {names}")
