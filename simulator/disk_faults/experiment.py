"""One cell: a fault of one file at one time, and what comes of it, told by what is observed.

    running   start, use, the fault, use, upkeep, use, stop; heal; start, use, stop
    at start  the fault, start, use, upkeep, use, stop; heal; start, use, stop

Refused starts are tried again with the file as it was.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from simulator.cluster import Machine
from simulator.disk_faults.faults import Fault
from simulator.disk_faults.kinds import FileKind
from simulator.disk_faults.outcomes import Outcome
from simulator.disk_faults.scene import UPKEEP_S, Left, When, run_world
from simulator.disk_faults.tampering import Content, content_of, is_there, replace_content
from simulator.disk_faults.usage import TOPICS, Use
from simulator.loop import SimulationStuckError

LONGEST_S = 3600.0
"""Virtual; no cell needs half of it."""
OURS = ("kbroker", "log", "coordinator", "wire")


@dataclass(frozen=True, slots=True)
class Cell:
    kind: FileKind
    fault: Fault
    when: When

    @property
    def name(self) -> str:
        return f"{self.kind.name}/{self.fault.name}/{self.when.value}"


@dataclass
class Observed:
    """Mutable: all that a person could have noticed, and what was wrong."""

    applies: bool = True
    refused: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    lines: list[tuple[int, str]] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    stuck: str = ""
    while_broken: list[tuple[str, str]] = field(default_factory=list)
    at_last: list[tuple[str, str]] = field(default_factory=list)
    """What contradicts the acknowledged, before and after the fault was healed."""
    errors: dict[tuple[str, str], int] = field(default_factory=dict)
    checksum_failed: set[str] = field(default_factory=set)
    out_of_place: set[str] = field(default_factory=set)
    kept: list[str] = field(default_factory=list)
    """What a refused start did not leave as it was."""


@dataclass(frozen=True)
class Result:
    cell: Cell
    outcome: Outcome
    observed: Observed


class _Listener(logging.Handler):
    """What the broker logs, from warnings on. Mutable."""

    def __init__(self, observed: Observed) -> None:
        super().__init__(logging.WARNING)
        self._observed = observed

    def emit(self, record: logging.LogRecord) -> None:
        self._observed.lines.append((record.levelno, record.getMessage()))
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            self._observed.tracebacks.append(f"{record.getMessage()}\n{text}")


def run_cell(cell: Cell, left: Left) -> Result:
    """The experiment on a copy of what was left."""
    observed = Observed()
    listener = _Listener(observed)
    names = (*OURS, "asyncio")
    before = [logging.getLogger(name).propagate for name in names]
    for name in names:
        logging.getLogger(name).addHandler(listener)
        logging.getLogger(name).propagate = False
    try:
        run_world(lambda machine: _play(machine, cell, left.copy(), observed))
    except (SimulationStuckError, TimeoutError) as error:
        observed.stuck = f"{type(error).__name__}: {error}"
    finally:
        for name, propagate in zip(names, before, strict=True):
            logging.getLogger(name).removeHandler(listener)
            logging.getLogger(name).propagate = propagate
    return Result(cell, classify(cell, observed), observed)


async def _play(machine: Machine, cell: Cell, left: Left, observed: Observed) -> None:
    async with asyncio.timeout(LONGEST_S):
        await _Experiment(machine, cell, left, observed).run()


class _Experiment:
    """Mutable: the machine goes from life to life."""

    def __init__(self, machine: Machine, cell: Cell, left: Left, observed: Observed) -> None:
        machine.disk, machine.metadata = left.disk, left.metadata
        machine.clock.offset_ms = 1_000_000
        self.machine = machine
        self.cell = cell
        self.observed = observed
        self.use = Use(machine.address, left.promised)
        self._path = ""
        self._original: Content = b""

    async def run(self) -> None:
        machine, cell = self.machine, self.cell
        if cell.when is When.RUNNING:
            assert await machine.start(), machine.failure
            await self.use.everything()
            assert not self.use.wrong, self.use.wrong
            if not self._break():
                return
        else:
            if not self._break():
                return
            if not await self._start():
                return
        await self._go_on()
        machine.disk.heal()
        self.observed.while_broken, self.use.wrong = self.use.wrong, []
        if await self._start():
            await self.use.look()
            await self.use.everything()
            await self._stop()
        self.observed.at_last = self.use.wrong

    def _break(self) -> bool:
        """Do it; False if the scene has no such file now."""
        disk, kind, fault = self.machine.disk, self.cell.kind, self.cell.fault
        path = kind.path_of(disk)
        self.observed.applies = path is not None
        if path is None:
            return False
        self._path, self._original = path, content_of(disk, path)
        fault.apply(disk, path, kind.patterns(path))
        if fault.change is not None and is_there(disk, path):
            self.observed.applies = content_of(disk, path) != self._original
        return self.observed.applies

    async def _start(self) -> bool:
        """Start; where that is refused, once more with the file as it was."""
        machine = self.machine
        if await machine.start():
            return True
        if "ExceptionGroup" in machine.failure:
            self.observed.tracebacks.append(machine.failure)
            return False
        self.observed.refused.append(machine.failure)
        machine.disk.heal()
        if self.cell.fault.change is not None:
            replace_content(machine.disk, self._path, self._original)
        if self.cell.when is not When.RUNNING:
            if await machine.start():
                await self.use.look()
                await self.use.everything()
                await self._stop()
            else:
                self.observed.kept.append(machine.failure)
            self.observed.at_last = self.use.wrong
        return False

    async def _go_on(self) -> None:
        """Use it, see its upkeep pass, use it again, and stop it."""
        await self.use.look()
        for pause_s in (UPKEEP_S, 1.0):
            if self.machine.is_running:
                await self.use.everything()
                await self._delete_more()
                await asyncio.sleep(pause_s)
        await self._stop()

    async def _delete_more(self) -> None:
        if self.machine.is_running:
            start = self.use.promised.starts["ledger"]
            await self.use._try("ledger", self.use.delete_records("ledger", start + 1))

    async def _stop(self) -> None:
        self.use.close()
        await self.machine.stop()
        await asyncio.sleep(1)
        if self.machine.failure:
            self.observed.stopped.append(self.machine.failure)
        for key, count in self.use.errors.items():
            self.observed.errors[key] = count
        self.observed.checksum_failed |= self.use.checksum_failed
        self.observed.out_of_place |= self.use.out_of_place


def classify(cell: Cell, observed: Observed) -> Outcome:
    """The one word, by what was observed alone: the worst first."""
    wrong = observed.while_broken + observed.at_last
    if not observed.applies:
        return Outcome.NOTHING
    if observed.tracebacks:
        return Outcome.TRACEBACK
    if observed.stuck:
        return Outcome.STUCK
    if observed.kept:
        return Outcome.LOST
    if observed.refused:
        return Outcome.REFUSED
    untold = [(topic, what) for topic, what in wrong if not _was_told(topic, observed)]
    if untold:
        return _unsaid(cell, untold, observed)
    if observed.stopped:
        return Outcome.STOPS
    if observed.errors:
        return _answered(cell, observed)
    if observed.checksum_failed:
        return Outcome.CHECKSUM
    if observed.out_of_place:
        return Outcome.OUTSIDE
    return Outcome.REBUILT if observed.lines else Outcome.UNSEEN


def _was_told(topic: str, observed: Observed) -> bool:
    """Whether whoever misses something of the topic has got an error instead."""
    return (
        any(name == topic and not api.startswith("Produce") for name, api in observed.errors)
        or topic in observed.checksum_failed
    )


def _unsaid(cell: Cell, untold: list[tuple[str, str]], observed: Observed) -> Outcome:
    """Something is missing or wrong, and clients do not notice: the log has to say it."""
    lines = " ".join(text for _, text in observed.lines)
    what = [each for _, each in untold]
    is_tail = "gone" in str(what) and cell.when is When.POWER and cell.kind.is_tail
    is_bit = cell.fault.column == "one bit"
    if all("transaction" in each for each in what):
        return Outcome.OUTSIDE
    if is_bit and observed.out_of_place:
        return Outcome.OUTSIDE
    if observed.lines and all("deleted up to" in each for each in what):
        return Outcome.REVIVED
    if is_tail or "cut a torn tail" in lines:
        return Outcome.TAIL_CUT
    if any(level >= logging.ERROR for level, _ in observed.lines):
        return Outcome.REBUILT
    is_gone = any("gone" in each or "changed" in each for each in what)
    return Outcome.LOST if is_gone else Outcome.WRONG


def _answered(cell: Cell, observed: Observed) -> Outcome:
    if cell.fault.name == "full":
        return Outcome.NO_ROOM
    if all(what == "hung up" for _, what in observed.errors):
        return Outcome.HUNG_UP
    return Outcome.ANSWERED


__all__ = ["TOPICS", "Cell", "Observed", "Result", "classify", "run_cell"]
