"""Lines of the broker's log are situations, and an exception in them ends the run."""

from __future__ import annotations

import errno
import logging

import pytest

from kbroker.cluster.metadata_store import StoreUnavailableError
from simulator.invariant_error import InvariantError
from tests.simulator.world_harness import Stage, play

logger = logging.getLogger("kbroker.test")


def test_a_line_is_a_situation() -> None:
    async def scene(stage: Stage) -> None:
        logger.warning("%s: cut a torn tail of %s", "t-0", "5 bytes")
        logger.info("stopped%s", " uncleanly: the next start checks the logs")

    stage = play(scene)
    assert stage.saw("torn tail cut") == stage.saw("stopped uncleanly") == 1
    assert stage.world.counts["log lines"] == 1
    assert not logging.getLogger("kbroker").handlers


def test_an_exception_that_nothing_explains() -> None:
    async def scene(stage: Stage) -> None:
        logger.error("it failed", exc_info=ValueError("no"))

    with pytest.raises(InvariantError, match="it failed: ValueError"):
        play(scene)


def test_an_error_of_a_disk_that_was_made_to_fail() -> None:
    async def scene(stage: Stage) -> None:
        stage.world.machine.disk.injected_errors += 1
        logger.error("it failed", exc_info=OSError(errno.EIO, "no"))

    play(scene)


def test_a_refusal_of_the_metadata_needs_the_fault_that_explains_it() -> None:
    async def scene(stage: Stage) -> None:
        stage.world.situations.saw("metadata refused")
        logger.error("it failed", exc_info=StoreUnavailableError("no"))

    async def unexplained(stage: Stage) -> None:
        logger.error("it failed", exc_info=StoreUnavailableError("no"))

    play(scene)
    with pytest.raises(InvariantError, match="it failed: StoreUnavailableError"):
        play(unexplained)
