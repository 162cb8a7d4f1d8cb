"""What must hold: of the broker's state after each step, of what clients saw at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.workload.worker import Worker

if TYPE_CHECKING:
    from simulator.world import World


async def check_after(world: World, workers: Sequence[Worker]) -> None:
    """The reckoning at the end of a run. InvariantError."""
    for worker in workers:
        await worker.check()
