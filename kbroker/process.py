"""The process around one broker: its event loop, signals, the ready line, and the exit status.

Counterpart: `broker`, which knows nothing of processes.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kbroker.broker import Broker, StartError
from kbroker.config.broker_config import BrokerConfig
from kbroker.dependencies import steady_time, system_dependencies
from kbroker.ready import ready_text
from kbroker.tasks import TaskSupervisor

if TYPE_CHECKING:
    from kbroker.observability.loop_watch import LoopTurns

logger = logging.getLogger(__name__)

GC_THRESHOLD = 20_000
"""New objects that live before the collector looks for cycles among them; Python's own is 700."""


def run(config: BrokerConfig, warnings: Sequence[str]) -> int:
    """Run a broker until a signal ends it; its exit status. StartError."""
    for warning in warnings:
        logger.warning("%s", warning)
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    turns: LoopTurns | None = None
    if config.kbroker_event_loop == "uvloop":
        try:
            import uvloop
        except ImportError:
            raise StartError("kbroker.event.loop=uvloop: pip install 'kbroker[uvloop]'") from None
        loop_factory = uvloop.new_event_loop
    elif config.kbroker_http_listener is not None:
        from kbroker.observability import loop_watch

        turns = loop_watch.LoopTurns()
        loop_factory = partial(loop_watch.watched_loop, turns, steady_time)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_run(config, turns))


async def _run(config: BrokerConfig, turns: LoopTurns | None) -> int:
    loop = asyncio.get_running_loop()
    broker = Broker(config, system_dependencies(loop, config, turns))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, broker.request_stop)
    async with asyncio.TaskGroup() as group:
        tasks = TaskSupervisor(group, on_fatal=broker.request_stop)
        try:
            await broker.start(tasks)
        except StartError as error:
            await broker.stop()
            tasks.cancel_all()
            start_error: StartError | None = error
        else:
            start_error = None
            data = os.path.abspath(config.data_directories[0])
            text = ready_text(
                config,
                broker.server,
                cluster_id=broker.cluster_id,
                data=data,
                http=broker.http_address,
            )
            print(text, flush=True)  # noqa: T201
            # What start made lives for ever: the collector need not look at it again. Requests
            # make no cycles; the many that wait for one flush should not set it off each time.
            gc.collect()
            gc.freeze()
            gc.set_threshold(GC_THRESHOLD)
            await broker.stopped.wait()
            await broker.drain()
            tasks.cancel_all()
            await broker.stop()
    if start_error is not None:
        raise start_error
    if broker.failure:
        print(f"kbroker: {broker.failure}", file=sys.stderr)  # noqa: T201
        return 1
    return 0
