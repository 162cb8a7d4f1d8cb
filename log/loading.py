"""Find the segments in a partition's directory, and finish what a crash interrupted there.

`.deleted` and `.cleaned` files are removed; `.swap` files, which compaction has written completely,
take the place of what they replace, as Kafka does it. Deliberately not here: whether the contents
are sound (`log.recovery`).
"""

from __future__ import annotations

from log.file_system import TEMPORARY_SUFFIX, FileSystem
from log.scan import next_offset_of
from log.segment import (
    DELETED_SUFFIX,
    LOG_SUFFIX,
    SUFFIXES,
    TRANSACTION_INDEX_SUFFIX,
    Segment,
)
from log.segments import Segments
from log.transaction_index import ENTRY_SIZE as TRANSACTION_ENTRY_SIZE

CLEANED_SUFFIX = ".cleaned"
SWAP_SUFFIX = ".swap"
UNFINISHED_SUFFIXES = (DELETED_SUFFIX, CLEANED_SUFFIX, SWAP_SUFFIX, TEMPORARY_SUFFIX)


def load_segments(
    segments: Segments, file_system: FileSystem, directory: str, *, now_ms: int
) -> tuple[list[str], bool]:
    """Fill `segments` with what there is, possibly nothing; create the directory where missing.

    Returns the names in the directory, and False if an index of transactions is cut.
    """
    try:
        names = file_system.list_directory(directory)
    except FileNotFoundError:
        file_system.make_directory(directory)
        return [], True
    if any(name.endswith(UNFINISHED_SUFFIXES) for name in names):
        _finish_interrupted(file_system, directory, names)
        names = file_system.list_directory(directory)
    found = _segment_files(names)
    newest = max((base for base in found if LOG_SUFFIX in found[base]), default=None)
    is_sound = True
    for base_offset in sorted(found):
        suffixes = found[base_offset]
        path = f"{directory}/{base_offset:020d}"
        if LOG_SUFFIX not in suffixes:
            for suffix in suffixes:
                file_system.remove(path + suffix)
            continue
        if TRANSACTION_INDEX_SUFFIX in suffixes:
            size = file_system.status(path + TRANSACTION_INDEX_SUFFIX).size
            is_sound = is_sound and size % TRANSACTION_ENTRY_SIZE == 0
        is_active = base_offset == newest
        log = file_system.open(path + LOG_SUFFIX) if is_active else None
        size = file_system.status(path + LOG_SUFFIX).size if log is None else log.size
        segments.add(
            Segment(
                file_system,
                directory,
                base_offset,
                created_ms=now_ms,
                size=size,
                found=suffixes,
                log=log,
            )
        )
    return names, is_sound


def _segment_files(names: list[str]) -> dict[int, list[str]]:
    """Base offset -> suffixes of the files there are."""
    found: dict[int, list[str]] = {}
    for name in names:
        parsed = _parse(name)
        if parsed is not None and parsed[1] in SUFFIXES:
            found.setdefault(parsed[0], []).append(parsed[1])
    return found


def _parse(name: str) -> tuple[int, str] | None:
    """`(base offset, suffix)` of a segment's file."""
    stem, dot, rest = name.partition(".")
    return (int(stem), dot + rest) if stem.isascii() and stem.isdigit() else None


def _finish_interrupted(file_system: FileSystem, directory: str, names: list[str]) -> None:
    parsed = [(name, *found) for name in names if (found := _parse(name)) is not None]
    cleaned = [base for _, base, suffix in parsed if suffix.endswith(CLEANED_SUFFIX)]
    least_cleaned = min(cleaned, default=None)
    swaps = []
    for name in names:
        if name.endswith((DELETED_SUFFIX, CLEANED_SUFFIX, TEMPORARY_SUFFIX)):
            file_system.remove(f"{directory}/{name}")
    for name, base, suffix in parsed:
        if not suffix.endswith(SWAP_SUFFIX):
            continue
        if least_cleaned is not None and base >= least_cleaned:
            # Several segments were to be swapped in together, and not all of them were complete.
            file_system.remove(f"{directory}/{name}")
        else:
            swaps.append((name, base, suffix.removesuffix(SWAP_SUFFIX)))
    _replace_swapped(file_system, directory, parsed, swaps)
    file_system.sync_directory(directory)


def _replace_swapped(
    file_system: FileSystem,
    directory: str,
    parsed: list[tuple[str, int, str]],
    swaps: list[tuple[str, int, str]],
) -> None:
    """Remove the segments that the swapped ones replace, then give those their names."""
    for name, base, suffix in swaps:
        if suffix != LOG_SUFFIX:
            continue
        end_offset = next_offset_of(base, file_system.open(f"{directory}/{name}"))
        for old_name, old_base, old_suffix in parsed:
            if old_suffix in SUFFIXES and base <= old_base < end_offset:
                file_system.remove(f"{directory}/{old_name}")
    for name, base, suffix in swaps:
        file_system.rename(f"{directory}/{name}", f"{directory}/{base:020d}{suffix}")
