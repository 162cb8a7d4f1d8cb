"""Targets in `log`: what a Produce brings, what stands in segments, indexes and small files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

from log.log_config import LogConfig, TargetCompression
from log.recompression import prepare
from log.scan import find_sound_batch, first_place_ending_at, iterate_places, iterate_whole
from log.validation import is_plain, only_batch, validate_produced, validate_replicated
from simulator.disk import SimulatedDisk
from tests.fuzz.batches import NOW, batch_sample, batches_sample, repaired
from tests.fuzz.mutation import Sample
from tests.fuzz.target import Target, require
from wire.errors import KafkaError
from wire.records.batch import crc_is_valid
from wire.records.compression import Compression

CONFIGS = {
    "create_time": LogConfig(),
    "append_time": LogConfig(message_timestamp_type="LogAppendTime"),
    "compacted": LogConfig(cleanup_policy=frozenset({"compact"})),
    "to_zstd": LogConfig(compression=TargetCompression(Compression.ZSTD)),
    "to_none": LogConfig(compression=TargetCompression(Compression.NONE), max_message_bytes=4096),
}


def log_targets() -> Iterator[Target]:
    for name, config in CONFIGS.items():
        yield Target(
            f"produced.{name}",
            produced_sample,
            partial(check_produced, config),
            (KafkaError,),
            covers=("log.validation.validate_produced", "log.validation.only_batch"),
            weight=8,
            repair=repaired,
        )
    yield Target(
        "replicated",
        batches_sample,
        check_replicated,
        (KafkaError,),
        covers=("log.validation.validate_replicated",),
        weight=8,
        repair=repaired,
    )
    yield Target(
        "segment_scan",
        batches_sample,
        check_scan,
        (),
        covers=(
            "log.scan.iterate_places",
            "log.scan.iterate_whole",
            "log.scan.find_sound_batch",
            "log.scan.first_place_ending_at",
        ),
        weight=6,
        repair=repaired,
    )


# Produce.


def produced_sample(chance: Random) -> Sample:
    return batch_sample(chance, base_offset=0)


def check_produced(config: LogConfig, data: bytes) -> None:
    payload = memoryview(bytearray(data))
    prepared = prepare(payload, config)
    header = only_batch(payload)
    plainly = is_plain(header, len(payload), config, NOW) and crc_is_valid(payload, 0, header)
    try:
        valid = validate_produced(
            payload, config=config, now_ms=NOW, header=header, prepared=prepared, name="t-0"
        )
    except KafkaError as error:
        require(payload == data, f"refused with {error}, and changed")
        require(not plainly, f"one glance takes what a look refuses: {error}")
        raise
    size = len(valid.records)
    require(valid.header.size_bytes == size <= config.max_message_bytes, f"{size} bytes to write")
    require(crc_is_valid(valid.records, 0, valid.header), "a wrong checksum is to be written")
    require(not plainly or valid.records == data, "a plain batch was changed")
    if config.message_timestamp_type == "LogAppendTime":
        require(valid.header.max_timestamp == NOW, "not the time of the append")


def check_replicated(data: bytes) -> None:
    offset = 0
    for position, header in validate_replicated(memoryview(data), next_offset=0):
        require(header.base_offset >= offset, f"offset {header.base_offset} after {offset}")
        require(crc_is_valid(data, position, header), "a wrong checksum")
        offset = header.next_offset


# Segments.


def file_of(data: bytes):
    disk = SimulatedDisk()
    file = disk.open("file", create=True)
    file.append(data)
    return file


def check_scan(data: bytes) -> None:
    file = file_of(data)
    end = len(data)
    wholes = [(whole.position, whole.header.base_offset) for whole in iterate_whole(file, 0, end)]
    places = list(iterate_places(file, 0, end))
    require(
        wholes == [(place.position, place.base_offset) for place in places[: len(wholes)]],
        "two ways to walk find different batches",
    )
    for place in places:
        require(place.position + place.size <= end, f"{place} ends past {end}")
    for offset in (0, 1, 1 << 40):
        place = first_place_ending_at(file, 0, end, offset)
        expected = next((each for each in places if each.last_offset >= offset), None)
        require(place == expected, f"{place} and {expected} hold offset {offset}")
    found = find_sound_batch(file, 0, end, least_offset=0)
    if found is not None:
        (whole, *_) = iterate_whole(file, found, end)
        require(whole.position == found > 0, "it found what is not sound")
