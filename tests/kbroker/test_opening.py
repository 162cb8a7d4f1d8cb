"""A data directory and the metadata that it belongs to: waited for, matched, or refused."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from kbroker.cluster.metadata_store import (
    MetadataStore,
    OutcomeUnknownError,
    StoreRefusedError,
    StoreUnavailableError,
)
from kbroker.opening import STORE_RETRY_S, Opening, StartError
from tests.kbroker.broker_harness import MovableLoop, World, config_of, run

SHARED = {"kbroker.metadata": "etcd://127.0.0.1:1"}


def opening(
    world: World, settings: dict[str, str], *errors: Exception, asked: list[str] | None = None
) -> Opening:
    """Of a broker whose store fails so at first, one time after the other."""
    dependencies = world.dependencies()
    left = list(errors)

    async def open_store(path: str) -> MetadataStore:
        if asked is not None:
            asked.append(path)
        if left:
            raise left.pop(0)
        return await dependencies.open_store(path)

    return Opening(config_of(settings), replace(dependencies, open_store=open_store))


def scenario_of(work: Callable[[MovableLoop], Awaitable[None]]) -> None:
    async def whole() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MovableLoop)
        await work(loop)

    run(whole)


def test_a_store_out_of_reach_is_waited_for_and_told_of_once(caplog) -> None:
    async def scenario(loop: MovableLoop) -> None:
        away = StoreUnavailableError("nobody is there")
        world, asked = World(shares=True), list[str]()
        begun = opening(world, SHARED, away, away, away, asked=asked)
        waiting = asyncio.ensure_future(begun.open("/data", stopped=asyncio.Event()))
        for tries in range(1, 5):
            while len(asked) < tries:
                await asyncio.sleep(0)
            loop.advance(STORE_RETRY_S)
        controller = await waiting
        assert begun.cluster_id
        assert begun.directory is not None
        assert begun.directory.cluster_id == begun.cluster_id
        assert controller.keys.prefix == "/kbroker/kbroker/"

    with caplog.at_level(logging.WARNING):
        scenario_of(scenario)
    assert [each.getMessage() for each in caplog.records].count(
        "waiting for the metadata store: nobody is there"
    ) == 1


def test_a_store_that_is_lost_amid_the_start_is_waited_for_again() -> None:
    async def scenario(loop: MovableLoop) -> None:
        begun = opening(World(shares=True), SHARED)
        errors = [StoreUnavailableError("gone"), OutcomeUnknownError("no answer")]
        tries: list[int] = []

        async def ask() -> str:
            tries.append(len(tries))
            if errors:
                raise errors.pop(0)
            return "there"

        waiting = asyncio.ensure_future(begun.patiently(ask, stopped=asyncio.Event()))
        for count in (1, 2, 3):
            while len(tries) < count:
                await asyncio.sleep(0)
            loop.advance(STORE_RETRY_S)
        assert await waiting == "there"

    scenario_of(scenario)


def test_a_stop_ends_the_wait_and_nothing_was_written() -> None:
    async def scenario(loop: MovableLoop) -> None:
        stopped = asyncio.Event()
        world = World(shares=True)
        begun = opening(world, SHARED, StoreUnavailableError("nobody is there"))
        loop.call_soon(stopped.set)
        with pytest.raises(StartError, match="stopped before"):
            await begun.open("/data", stopped=stopped)
        assert begun.directory is None
        assert not world.file_system.exists("/data")

    scenario_of(scenario)


def test_a_store_that_refuses_is_not_asked_again() -> None:
    async def scenario(loop: MovableLoop) -> None:
        begun = opening(World(shares=True), SHARED, StoreRefusedError("the password is wrong"))
        with pytest.raises(StoreRefusedError):
            await begun.open("/data", stopped=asyncio.Event())

    scenario_of(scenario)


@pytest.mark.parametrize("settings", [{}, SHARED], ids=["alone", "shared"])
def test_a_directory_of_another_cluster_is_refused(settings: dict[str, str]) -> None:
    async def scenario(loop: MovableLoop) -> None:
        world = World(shares=bool(settings))
        first = opening(world, settings)
        await first.open("/data", stopped=asyncio.Event())
        assert first.directory is not None
        first.directory.close(clean=True, high_watermarks={})
        elsewhere = World(shares=bool(settings), chance=random.Random(3))
        if not settings:  # whose metadata say whose they are before they meet the foreign disk
            await opening(elsewhere, settings).open("/data", stopped=asyncio.Event())
        elsewhere.file_system = world.file_system
        foreign = opening(elsewhere, settings)
        with pytest.raises(StartError, match="cluster"):
            await foreign.open("/data", stopped=asyncio.Event())

    scenario_of(scenario)


def test_the_name_of_the_cluster_is_that_of_the_url() -> None:
    async def scenario(loop: MovableLoop) -> None:
        settings = {"kbroker.metadata": "etcd://127.0.0.1:1/orders"}
        controller = await opening(World(shares=True), settings).open(
            "/data", stopped=asyncio.Event()
        )
        assert controller.keys.prefix == "/kbroker/orders/"

    scenario_of(scenario)


def test_metadata_are_not_looked_for_where_they_are_not() -> None:
    """Nothing is asked, let alone made: a cluster there would keep the right one out."""

    async def scenario(loop: MovableLoop) -> None:
        world, asked = World(shares=True), list[str]()
        disk = world.dependencies().file_system
        disk.make_directory("/data")
        disk.open("/data/metadata.sqlite", create=True).close()
        with pytest.raises(StartError, match="kbroker metadata migrate"):
            await opening(world, SHARED, asked=asked).open("/data", stopped=asyncio.Event())
        disk.rename("/data/metadata.sqlite", "/data/metadata.sqlite.migrated")
        with pytest.raises(StartError, match="belongs to a broker of a cluster"):
            await opening(world, {}, asked=asked).open("/data", stopped=asyncio.Event())
        assert asked == []

    scenario_of(scenario)
