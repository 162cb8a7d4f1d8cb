"""Open or create the parts of one partition's log: load, then trust or recover.

What `PartitionLog.open` starts from. After it, everything that was found is durable: bytes that a
killed process left in the page cache are flushed before anybody is served from them.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass

from log.checkpoints import CheckpointError
from log.file_system import FileSystem
from log.flushing import FlushedEnd
from log.leader_epochs import FILE_NAME as LEADER_EPOCHS
from log.leader_epochs import LeaderEpochs
from log.loading import load_segments
from log.log_config import LogConfig
from log.producer_state import ProducerState
from log.recovery import (
    LogStartMissingError,
    Recovery,
    check_end,
    recover,
    restore_producers,
    trusted_end,
)
from log.segment import ASIDE_SUFFIX
from log.segments import Segments

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenedLog:
    segments: Segments
    leader_epochs: LeaderEpochs
    producer_state: ProducerState
    log_start_offset: int
    log_end_offset: int
    recovery_point: int
    flushed_end: FlushedEnd


def open_log(
    file_system: FileSystem,
    directory: str,
    *,
    name: str,
    config: LogConfig,
    recovery_point: int,
    log_start_offset: int,
    high_watermark: int,
    clean: bool,
    accept_damage: bool,
    now_ms: int,
    flushed_end: FlushedEnd,
) -> OpenedLog:
    """See `PartitionLog.open`. Where it raises, no file stays open."""
    segments = Segments(file_system, directory)
    with ExitStack() as undone:
        undone.callback(segments.close)
        names, is_sound = load_segments(segments, file_system, directory, now_ms=now_ms)
        clean = clean and is_sound
        is_new = len(segments) == 0
        if is_new:
            segments.create(log_start_offset, now_ms=now_ms)
        leader_epochs, epochs_are_sound = _load_epochs(
            file_system, directory, names, has_records=segments.size_bytes > 0
        )
        clean = clean and epochs_are_sound
        log_start_offset, are_covered = _sound_start(
            name, log_start_offset, leader_epochs, first_offset=segments.first.base_offset
        )
        if not (clean or are_covered) and segments.size_bytes:
            leader_epochs, epochs_are_sound = LeaderEpochs(), False
        recovery = Recovery(
            file_system=file_system,
            directory=directory,
            name=name,
            segments=segments,
            leader_epochs=leader_epochs,
            producer_state=ProducerState(
                producer_id_expiration_ms=config.producer_id_expiration_ms
            ),
            config=config,
            # A damaged history of epochs is rebuilt from all batches.
            recovery_point=recovery_point if epochs_are_sound else 0,
            high_watermark=high_watermark,
            log_start_offset=max(log_start_offset, segments.first.base_offset),
            accept_damage=accept_damage,
            now_ms=now_ms,
            flushed_end=flushed_end,
        )
        if log_start_offset < segments.first.base_offset:
            _check_start(recovery, clean=clean)
        opened = _open_end(recovery, recovery_point, clean=clean, is_new=is_new)
        undone.pop_all()
    return opened


def _open_end(recovery: Recovery, recovery_point: int, *, clean: bool, is_new: bool) -> OpenedLog:
    """What there is once the end was found, below and above which nothing is left."""
    segments, leader_epochs = recovery.segments, recovery.leader_epochs
    end_offset, is_trusted = _find_end(recovery, clean=clean, is_new=is_new)
    start_offset = recovery.log_start_offset
    if start_offset > end_offset:
        _start_behind(recovery, end_offset)
        recovery.producer_state.end_offset = end_offset = start_offset
    leader_epochs.truncate_from_end(end_offset)
    leader_epochs.truncate_from_start(start_offset)
    durable_end = end_offset if is_trusted else max(start_offset, min(recovery_point, end_offset))
    segments.was_flushed_below(durable_end)
    # The names that were found may not be durable: a crash left them, or the last owner made them
    # and never appended. The first flush sees to it.
    segments.directory_changes += 1
    state = recovery.producer_state
    return OpenedLog(
        segments,
        leader_epochs,
        state,
        start_offset,
        end_offset,
        durable_end,
        recovery.flushed_end,
    )


def _find_end(recovery: Recovery, *, clean: bool, is_new: bool) -> tuple[int, bool]:
    """The log end, and whether it is trusted, not recovered. Raises LogDamagedError, OSError."""
    end_offset = trusted_end(recovery) if clean else None
    is_trusted = end_offset is not None
    if end_offset is None:
        for segment in recovery.segments.from_offset(recovery.recovery_point):
            segment.log().settle()  # what recovery finds is what a power cut leaves
        end_offset = recover(recovery)
    elif end_offset > recovery.log_start_offset or not is_new:
        restore_producers(recovery, end_offset=end_offset)
    check_end(recovery, end_offset, clean=is_trusted)
    return end_offset, is_trusted


def _sound_start(
    name: str, log_start_offset: int, leader_epochs: LeaderEpochs, *, first_offset: int
) -> tuple[int, bool]:
    """The log start, and whether the history of epochs covers all from there on.

    The history of epochs begins where the log does, and is written first. A checkpoint that says
    more would hide records, and retention would then remove them: the lower one is taken.
    """
    entries = leader_epochs.entries
    if not entries:
        return log_start_offset, True
    least = entries[0].start_offset
    if log_start_offset > least:
        logger.error(
            "%s starts at offset %d by its checkpoint and at %d by its leader epochs: the lower is "
            "taken, so that deleted records may be there again",
            name,
            log_start_offset,
            least,
        )
        return least, True
    if least > max(log_start_offset, first_offset):
        logger.warning(
            "%s starts at offset %d by its leader epochs, but no checkpoint says so: deleted "
            "records may be there again",
            name,
            least,
        )
        return log_start_offset, False
    return log_start_offset, True


def _check_start(recovery: Recovery, *, clean: bool) -> None:
    """Refuse if records at the start are missing: the history of epochs begins where the log does.

    After a crash it may lag behind what retention took, for as long as one of its rounds takes: the
    log start is written then. That is worth an error line.
    """
    first = recovery.segments.first
    entries = recovery.leader_epochs.entries
    if not entries or entries[0].start_offset >= first.base_offset:
        return
    text = (
        f"{recovery.name} began at offset {entries[0].start_offset}, but the first file in "
        f"{recovery.directory} is {first.name}"
    )
    if clean and not recovery.accept_damage:
        raise LogStartMissingError(
            f"{text}. Restore the files before it from a copy, or accept that their records are "
            "lost; no record was touched"
        )
    logger.error(
        "%s: the records before it are gone, unless retention was removing them at the crash", text
    )


def _start_behind(recovery: Recovery, end_offset: int) -> None:
    """Begin at the checkpointed log start, although all that was found ends before it.

    A crash leaves this where retention or DeleteRecords had gone further than what was written of
    the log. Offsets below the start may have been read already: they are not given out again. But
    a checkpoint's word alone destroys no record: sound ones are kept, as files that nobody loads.
    """
    start_offset = recovery.log_start_offset
    if not recovery.segments.size_bytes:
        recovery.segments.start_over(start_offset)
        return
    logger.error(
        "%s starts at offset %d, but only records up to %d were found: their files in %s are set "
        "aside as *%s, to be removed by hand if they are of no use",
        recovery.name,
        start_offset,
        end_offset,
        recovery.directory,
        ASIDE_SUFFIX,
    )
    recovery.segments.start_beside(start_offset)


def _load_epochs(
    file_system: FileSystem, directory: str, names: list[str], *, has_records: bool
) -> tuple[LeaderEpochs, bool]:
    epochs = LeaderEpochs()
    if LEADER_EPOCHS in names:
        try:
            epochs = LeaderEpochs.load(file_system, directory)
        except CheckpointError as error:
            logger.warning("%s: the leader epochs are read from the batches", error)
            return epochs, False
    if has_records and not epochs.entries:
        logger.warning("%s is missing or empty in %s: it is made anew", LEADER_EPOCHS, directory)
        return epochs, False
    return epochs, True
