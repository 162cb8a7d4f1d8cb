"""The kinds of files in a data directory, and which file of the scene stands for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from log.checkpoint_writer import HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS, RESERVE
from log.log_directory import CLEAN_SHUTDOWN, LOCK, META_PROPERTIES
from simulator.cluster import DATA
from simulator.disk import SimulatedDisk
from simulator.disk_faults.tampering import is_there, names_in

HINT = ".kbroker_flushed_ends"
ORDERS = f"{DATA}/orders-0"
LEDGER = f"{DATA}/ledger-0"
OFFSETS = f"{DATA}/__consumer_offsets-0"

PathOf = Callable[[SimulatedDisk], str | None]


@dataclass(frozen=True, slots=True)
class FileKind:
    """`name` for the command line, `words` for the table. `path_of` is None where the scene has no
    such file (any more)."""

    name: str
    words: str
    path_of: PathOf
    holds_batches: bool = False
    is_tail: bool = False
    """It holds what was written last."""

    def patterns(self, path: str) -> tuple[str, ...]:
        """What operations fail on: the file, and the one that is written to take its place."""
        return (path, path + ".tmp")


def _nth(directory: str, suffix: str, number: int) -> PathOf:
    def find(disk: SimulatedDisk) -> str | None:
        names = [name for name in names_in(disk, directory) if name.endswith(suffix)]
        return f"{directory}/{names[number]}" if -len(names) <= number < len(names) else None

    return find


def _named(path: str) -> PathOf:
    return lambda disk: path if is_there(disk, path) else None


def _deleted_topic(disk: SimulatedDisk) -> str | None:
    for name in names_in(disk, DATA):
        if name.endswith("-delete"):
            return _nth(f"{DATA}/{name}", ".log", 0)(disk)
    return None


KINDS: tuple[FileKind, ...] = (
    FileKind(
        "active-log", "`.log`, active", _nth(ORDERS, ".log", -1), holds_batches=True, is_tail=True
    ),
    FileKind(
        "recent-log",
        "`.log`, closed, past the recovery point",
        _nth(ORDERS, ".log", -2),
        holds_batches=True,
    ),
    FileKind("old-log", "`.log`, closed, below it", _nth(ORDERS, ".log", 1), holds_batches=True),
    FileKind("first-log", "`.log`, the oldest", _nth(ORDERS, ".log", 0), holds_batches=True),
    FileKind(
        "offsets-log",
        "`.log` of `__consumer_offsets`",
        _nth(OFFSETS, ".log", -1),
        holds_batches=True,
        is_tail=True,
    ),
    FileKind("active-index", "`.index`, active", _nth(ORDERS, ".index", -1)),
    FileKind("old-index", "`.index`, closed", _nth(ORDERS, ".index", 1)),
    FileKind("active-timeindex", "`.timeindex`, active", _nth(ORDERS, ".timeindex", -1)),
    FileKind("old-timeindex", "`.timeindex`, closed", _nth(ORDERS, ".timeindex", 1)),
    FileKind("txnindex", "`.txnindex`", _nth(LEDGER, ".txnindex", 0)),
    FileKind("snapshot", "`.snapshot`", _nth(ORDERS, ".snapshot", -1)),
    FileKind("epochs", "`leader-epoch-checkpoint`", _named(f"{ORDERS}/leader-epoch-checkpoint")),
    FileKind("partition", "`partition.metadata`", _named(f"{ORDERS}/partition.metadata")),
    FileKind("meta", "`meta.properties`", _named(f"{DATA}/{META_PROPERTIES}")),
    FileKind("recovery-points", f"`{RECOVERY_POINTS}`", _named(f"{DATA}/{RECOVERY_POINTS}")),
    FileKind("high-watermarks", f"`{HIGH_WATERMARKS}`", _named(f"{DATA}/{HIGH_WATERMARKS}")),
    FileKind("log-starts", f"`{LOG_STARTS}`", _named(f"{DATA}/{LOG_STARTS}")),
    FileKind("clean", f"`{CLEAN_SHUTDOWN}`", _named(f"{DATA}/{CLEAN_SHUTDOWN}")),
    FileKind("flushed-ends", f"`{HINT}`", _named(f"{DATA}/{HINT}")),
    FileKind("directory", "the directory of a partition", _named(ORDERS)),
    FileKind("lock", f"`{LOCK}`", _named(f"{DATA}/{LOCK}")),
    FileKind("reserve", f"`{RESERVE}`", _named(f"{DATA}/{RESERVE}")),
    FileKind("deleted", "`*.deleted`", _nth(LEDGER, ".log.deleted", 0)),
    FileKind("aside", "`*.aside`", _nth(LEDGER, ".aside", 0)),
    FileKind("deleted-topic", "files of a deleted topic", _deleted_topic),
)
