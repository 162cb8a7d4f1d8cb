"""The real world behind the seams: clock, store and flusher of a process."""

from __future__ import annotations

import asyncio

from kbroker.config.broker_config import BrokerConfig
from kbroker.dependencies import SystemClock, connections_within, system_dependencies
from log.file_system import OsFileSystem


def test_the_wall_clock_counts_milliseconds_since_the_epoch() -> None:
    year_2020, year_2200 = 1_577_836_800_000, 7_258_118_400_000
    assert year_2020 < SystemClock().now_ms() < year_2200


def test_metadata_and_flushes_are_durable(tmp_path) -> None:
    async def scenario() -> None:
        dependencies = system_dependencies(asyncio.get_running_loop(), BrokerConfig())
        assert isinstance(dependencies.file_system, OsFileSystem)
        store = await dependencies.open_store(str(tmp_path / "metadata.sqlite"))
        await store.close()
        assert (tmp_path / "metadata.sqlite").exists()
        flusher = dependencies.make_flusher("data")
        file = dependencies.file_system.open(str(tmp_path / "file"), create=True)
        file.append(b"bytes")

        class Ticket:
            def sync(self) -> None:
                file.flush()

        done: list[object] = []
        flusher.submit([Ticket()], done.append)
        flusher.close()
        assert done == [[None]]
        file.close()

    asyncio.run(scenario())


def test_clients_leave_the_logs_descriptors_even_where_there_are_few() -> None:
    assert connections_within(10_000) == 10_000 - 512
    assert connections_within(200) == 100
