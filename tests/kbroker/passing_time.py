"""Virtual time passes: for tests in a simulated loop, where nobody waits for it."""

from __future__ import annotations

import asyncio

from simulator.loop import SimulatedLoop


async def pass_time(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    over: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over
