"""A partition's directory with one damaged file, opened as after a crash and as after a clean stop.

Whatever stands in the file, the log opens and works, or refuses in one declared way. Which records
may be lost then is the business of the matrix of disk faults; here it is that nothing else happens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from random import Random

from log.log_config import LogConfig
from log.partition_log import PartitionLog
from log.recovery import LogDamagedError
from simulator.disk import SimulatedDisk
from tests.fuzz.batches import NOW
from tests.fuzz.mutation import Sample
from tests.fuzz.target import Target, require
from tests.log.log_harness import DIRECTORY, Checkpoints, LogOnDisk, batch
from wire.errors import KafkaError, WireError
from wire.records.batch import iterate_batches

CONFIG = LogConfig(segment_bytes=700, index_interval_bytes=100)
TRANSACTION_INDEX = "00000000000000000000.txnindex"
CLEAN, ACCEPT_DAMAGE = 1, 2


def disk_targets() -> Iterator[Target]:
    yield Target(
        "partition_directory",
        directory_sample,
        check_directory,
        (LogDamagedError, WireError, KafkaError),
        covers=(
            "log.loading.load_segments",
            "log.opening.open_log",
            "log.recovery.recover",
            "log.recovery.replay_producers",
            "log.partition_log.PartitionLog",
            "log.leader_epochs.load",
        ),
        weight=2,
    )


@cache
def template() -> dict[str, bytes]:
    """The files of a log of some segments, as a clean stop leaves them."""
    world = LogOnDisk(CONFIG)
    log = world.open()
    for number in range(24):
        world.leader_epoch = number // 9
        log.append_as_leader(
            batch(b"value %d" % number, b"x" * 20, producer_id=5, sequence=2 * number),
            leader_epoch=world.leader_epoch,
            now_ms=NOW + number,
        )
    log.flush_now()
    world.checkpoint(log)
    log.close()
    disk = world.disk
    files = {name: disk.read_file(f"{DIRECTORY}/{name}") for name in disk.list_directory(DIRECTORY)}
    return {**files, TRANSACTION_INDEX: bytes(34)}


def directory_sample(chance: Random) -> Sample:
    """Which file; how it is opened; up to where it was durable; what is in it."""
    names = sorted(template())
    place = chance.randrange(len(names))
    head = bytes([place, chance.randrange(4), chance.choice((0, 10, 30, 48))])
    data = template()[names[place]]
    cuts = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(6))})
    pieces = [data[start:end] for start, end in pairwise(cuts)]
    return Sample([head, *pieces], "d" * (1 + len(pieces)))


def check_directory(data: bytes) -> None:
    if len(data) < 3:
        return
    names = sorted(template())
    changed = names[data[0] % len(names)]
    durable = data[2]
    disk = SimulatedDisk()
    disk.make_directory(DIRECTORY)
    for name, content in template().items():
        disk.open(f"{DIRECTORY}/{name}", create=True).append(
            data[3:] if name == changed else content
        )
    world = LogOnDisk(CONFIG, disk, Checkpoints(durable, 0, durable), NOW + 1000)
    world.leader_epoch = 3
    clean = bool(data[1] & CLEAN)
    logging.disable()  # a line for each damaged file, by the million
    try:
        works(world.open(clean=clean, accept_damage=bool(data[1] & ACCEPT_DAMAGE)), world)
    except (WireError, KafkaError) as error:
        require(clean or durable, f"all was checked, and yet: {error}")
        raise
    finally:
        logging.disable(logging.NOTSET)


def works(log: PartitionLog, world: LogOnDisk) -> None:
    """It reads to its end, takes a batch, is cut, and opens again as it was left."""
    end = log.log_end_offset
    require(log.log_start_offset <= end, f"it starts at {log.log_start_offset}, ends at {end}")
    read_to_the_end(log)
    for timestamp in (0, NOW + 5, NOW + 10_000):
        log.offset_for_timestamp(timestamp)
    if end < 1 << 62:
        require(world.append(log, b"new") == end, "an append elsewhere than at the end")
        log.truncate_to(end)
    require(log.log_end_offset == end, f"it ended at {end}, and now at {log.log_end_offset}")
    log.flush_now()
    world.checkpoint(log)
    log.close()
    again = world.open(clean=True)
    require(again.log_end_offset == end, f"it ended at {end}, and opens at {again.log_end_offset}")
    again.close()


def read_to_the_end(log: PartitionLog) -> None:
    """WireError where a damaged batch was trusted, as after a clean stop."""
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        piece = log.read(offset, max_bytes=300, upper_bound_offset=log.log_end_offset)
        if piece is None:
            break
        data = piece.source.read_at(piece.position, len(piece))
        piece.release()
        before = offset
        for _, header in iterate_batches(data):
            offset = max(offset, header.next_offset)
        if offset == before:
            raise WireError(f"no batch at offset {offset}")
