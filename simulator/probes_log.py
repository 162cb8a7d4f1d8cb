"""Reads what the broker says in its log: situations, and what must never be said."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import coordinator
import kbroker
import log
import wire
from kbroker.cluster.metadata_store import OutcomeUnknownError, StoreUnavailableError
from simulator.invariant_error import InvariantError
from simulator.loop import CURRENT

if TYPE_CHECKING:
    from simulator.world import World

LOGGERS = ("kbroker", "log", "coordinator")
AWAY = (ConnectionError, TimeoutError)
"""Somebody is not reached: no error of a disk."""

LINES = (
    ("cut a torn tail", "torn tail cut"),
    ("They are set aside", "set aside"),
    ("the indexes of %s are rebuilt", "index rebuilt"),
    ("was left clean but does not look so", "not as clean as said"),
    ("is damaged (%s) and removed", "snapshot damaged"),
    ("every partition is checked from its start", "checkpoint damaged"),
    ("the leader epochs are read from the batches", "epochs from batches"),
    ("but only records up to", "log starts past its end"),
    ("The loss is accepted", "loss accepted"),
    ("is not opened", "stray found"),
    ("malformed", "malformed request"),
    ("its reserve of", "disk full in a checkpoint"),
    ("the checkpoints were not written", "checkpoints not written"),
)
"""(part of a line before its values are filled in, situation)."""
UNCLEAN = " uncleanly: the next start checks the logs"


class _Reader(logging.Handler):
    """Judges each line. Mutable, as handlers are."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if CURRENT.get().is_dead:
            return
        world = self._world
        text = str(record.msg)
        for part, situation in LINES:
            if part in text:
                world.situations.saw(situation)
        if isinstance(record.args, tuple) and UNCLEAN in record.args:
            world.situations.saw("stopped uncleanly")
        if "may lack acknowledged records" in text:
            place = vars(record)
            world.losses_told.add((place["topic"], place["partition"], place["leader_epoch"]))
        if record.levelno >= logging.WARNING:
            world.counts["log lines"] += 1
            world.note(f"said: {record.getMessage()[:300]}")
        if record.exc_info is not None and record.exc_info[1] is not None:
            error = record.exc_info[1]
            world.note(f"with {error!r}")
            if not _was_injected(world, error):
                world.loop.fail(InvariantError(f"{record.getMessage()}: {error!r}"))


def _was_injected(world: World, error: BaseException) -> bool:
    """Whether it may be said of this that a fault made it happen. In a cluster no loss of a
    connection or of the metadata store explains one: whoever meets these says so in a line."""
    if world.is_cluster:
        errors = sum(each.disk.injected_errors for each in world.machines.values())
        return isinstance(error, OSError) and not isinstance(error, AWAY) and errors > 0
    if isinstance(error, StoreUnavailableError | OutcomeUnknownError):
        counts = world.situations.counts
        return counts["metadata refused"] + counts["metadata unknown"] > 0
    return isinstance(error, OSError) and world.machine.disk.injected_errors > 0


@contextmanager
def reading_log(world: World) -> Iterator[None]:
    """While this lasts, what the broker says is read."""
    reader = _Reader(world)
    _make_loggers()
    root = logging.getLogger()
    before = [(root, root.level)]
    root.setLevel(logging.WARNING)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        before.append((logger, logger.level))
        logger.addHandler(reader)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in before:
            logger.removeHandler(reader)
            logger.setLevel(level)


def _make_loggers() -> None:
    """Those of all modules: clients are told which there are, and that must not depend on what else
    this process has imported before."""
    for name in _modules():
        logging.getLogger(name)


@cache
def _modules() -> tuple[str, ...]:
    return tuple(
        module.name
        for package in (kbroker, log, coordinator, wire)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    )
