"""What Apache Kafka 4.3.1 answered to these payloads, case by case."""

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from log.log_config import LogConfig
from log.recompression import PreparedBatch
from log.validation import validate_produced, validate_replicated
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import build_batch, crc_is_valid, read_header
from wire.records.batch_header import CRC_AT
from wire.records.compression import Compression
from wire.records.record import Record

NOW = 1_795_365_810_398
HOUR = 3_600_000
CONFIG = LogConfig()
APPEND_TIME = LogConfig(message_timestamp_type="LogAppendTime")
COMPACTED = LogConfig(cleanup_policy=frozenset({"compact"}))
BOUNDED = LogConfig(message_timestamp_before_max_ms=1000, max_message_bytes=1000)
INVALID = ErrorCode.INVALID_RECORD
CORRUPT = ErrorCode.CORRUPT_MESSAGE


def _record(timestamp: int = NOW, key: bytes | None = b"k", value: bytes = b"v") -> Record:
    return Record(0, timestamp, key, value)


def _sum(batch: bytearray) -> bytearray:
    """A batch with its checksum made right, whatever else is wrong in it."""
    from crc32c import crc32c

    struct.pack_into(">I", batch, CRC_AT, crc32c(bytes(batch[21:])))
    return batch


def _edit(position: int, form: str, value: int, *more: tuple[int, str, int]) -> bytearray:
    batch = bytearray(GOOD)
    for at, each, number in ((position, form, value), *more):
        struct.pack_into(each, batch, at, number)
    return _sum(batch)


def _flipped(batch: bytearray) -> bytearray:
    return batch[:-1] + bytes([batch[-1] ^ 1])


def _stamped(timestamp: int) -> bytearray:
    return build_batch([_record()], log_append_time_ms=timestamp)


def _produced(**fields: int | bool) -> bytearray:
    return build_batch([_record()], **fields)  # type: ignore[arg-type]


def _answer(
    payload: bytes | bytearray, config: LogConfig = CONFIG, *, transactional_id: bool = False
) -> ErrorCode:
    view = memoryview(bytearray(payload))
    try:
        valid = validate_produced(
            view, config=config, now_ms=NOW, transactional_id_given=transactional_id
        )
    except KafkaError as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refused.detail
        assert view == payload, "a refused payload was changed"
        return refused.code
    assert crc_is_valid(valid.records, 0, valid.header)
    assert valid.header == read_header(valid.records)
    assert len(valid.records) == valid.header.size_bytes
    return ErrorCode.NONE


GOOD = build_batch([_record(), _record()])
EMPTY = _edit(23, ">i", -1, (57, ">i", 0), (8, ">i", 49))[:61]

CASES: dict[str, tuple[bytes | bytearray, ErrorCode]] = {
    "good": (GOOD, ErrorCode.NONE),
    "empty": (b"", INVALID),
    "cut": (GOOD[:-1], INVALID),
    "cut header": (GOOD[:40], INVALID),
    "10 bytes": (GOOD[:10], INVALID),
    "5 bytes behind": (GOOD + b"12345", ErrorCode.NONE),
    "16 zeros behind": (GOOD + bytes(16), CORRUPT),
    "70 zeros behind": (GOOD + bytes(70), CORRUPT),
    "20 ones behind": (GOOD + b"\xff" * 20, CORRUPT),
    "two batches": (GOOD + GOOD, INVALID),
    "a batch and a cut one": (GOOD + GOOD[:-1], ErrorCode.NONE),
    "length 13": (_edit(8, ">i", 13), CORRUPT),
    "length 48": (_edit(8, ">i", 48), CORRUPT),
    "length 49": (_edit(8, ">i", 49), CORRUPT),
    "length -1": (_edit(8, ">i", -1), CORRUPT),
    "magic 3": (_edit(16, ">b", 3), CORRUPT),
    "magic -1": (_edit(16, ">b", -1), CORRUPT),
    "magic 0": (_edit(16, ">b", 0), INVALID),
    "magic 1": (_edit(16, ">b", 1), INVALID),
    "bad checksum": (_flipped(GOOD), CORRUPT),
    "base offset 7": (_edit(0, ">q", 7), INVALID),
    "leader epoch 77": (_edit(12, ">i", 77), ErrorCode.NONE),
    "codec 5": (_edit(21, ">h", 5), ErrorCode.UNKNOWN_SERVER_ERROR),
    "codec 7": (_edit(21, ">h", 7), ErrorCode.UNKNOWN_SERVER_ERROR),
    "codec 5, bad checksum": (_flipped(_edit(21, ">h", 5)), CORRUPT),
    "empty batch": (_sum(EMPTY), INVALID),
    "count 0": (_edit(57, ">i", 0), INVALID),
    "count 1 of 2": (_edit(57, ">i", 1), INVALID),
    "count -1": (_edit(57, ">i", -1), INVALID),
    "control": (_produced(is_control=True), INVALID),
    "transactional without an id": (
        _produced(is_transactional=True, producer_id=1, producer_epoch=0, base_sequence=0),
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ),
    "transactional with a bad checksum": (
        _flipped(_produced(is_transactional=True, producer_id=1, base_sequence=0)),
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ),
    "producer without a sequence": (_produced(producer_id=1, producer_epoch=0), INVALID),
    "producer without an epoch": (_produced(producer_id=1, base_sequence=0), ErrorCode.NONE),
    "producer -2": (_produced(producer_id=-2, producer_epoch=0, base_sequence=0), ErrorCode.NONE),
    "2 hours ahead": (build_batch([_record(NOW + 2 * HOUR)]), ErrorCode.INVALID_TIMESTAMP),
    "1 hour ahead": (build_batch([_record(NOW + HOUR)]), ErrorCode.NONE),
    "timestamp -1": (build_batch([_record(-1)]), ErrorCode.NONE),
    "timestamp -5": (build_batch([_record(-5)]), ErrorCode.NONE),
    "timestamp 0": (build_batch([_record(0)]), ErrorCode.NONE),
    "the last timestamp": (build_batch([_record(2**63 - 1)]), ErrorCode.INVALID_TIMESTAMP),
    "the first timestamp": (build_batch([_record(-(2**63))]), ErrorCode.INVALID_TIMESTAMP),
    "append time claimed": (_stamped(NOW), ErrorCode.NONE),
    "append time far ahead": (_stamped(NOW + 2 * HOUR), ErrorCode.INVALID_TIMESTAMP),
    "append time -1": (_stamped(-1), ErrorCode.INVALID_TIMESTAMP),
    "delete horizon": (build_batch([_record()], delete_horizon_ms=NOW), ErrorCode.NONE),
    "an unknown attribute": (_edit(21, ">h", 0x80), ErrorCode.NONE),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_are_kafkas(case: str) -> None:
    payload, expected = CASES[case]
    assert _answer(payload) == expected


@pytest.mark.parametrize("codec", Compression)
def test_every_codec_is_taken(codec: Compression) -> None:
    assert _answer(build_batch([_record()], compression=codec)) == ErrorCode.NONE


def test_a_transactional_batch_with_an_id_and_others_with_one() -> None:
    batch = _produced(is_transactional=True, producer_id=1, producer_epoch=0, base_sequence=0)
    assert _answer(batch, transactional_id=True) == ErrorCode.NONE
    assert _answer(GOOD, transactional_id=True) == ErrorCode.NONE


def test_the_size_limits_and_their_order() -> None:
    def sized(size: int) -> bytearray:
        batch = build_batch([_record(value=bytes(size - 71))])
        return batch if len(batch) == size else build_batch([_record(value=bytes(size - 72))])

    limited = replace(CONFIG, max_message_bytes=1000)
    assert len(sized(1000)) == 1000
    assert _answer(sized(1000), limited) == ErrorCode.NONE
    assert _answer(sized(1001), limited) == ErrorCode.MESSAGE_TOO_LARGE
    assert _answer(_flipped(sized(1001)), limited) == ErrorCode.MESSAGE_TOO_LARGE
    assert _answer(sized(1001), replace(CONFIG, segment_bytes=1000)) == (
        ErrorCode.RECORD_LIST_TOO_LARGE
    )


def test_timestamps_too_far_back() -> None:
    assert _answer(build_batch([_record(NOW - 1001)]), BOUNDED) == ErrorCode.INVALID_TIMESTAMP
    assert _answer(build_batch([_record(NOW - 1000)]), BOUNDED) == ErrorCode.NONE
    mixed = build_batch([_record(NOW - 5000), _record(NOW)])
    assert _answer(mixed, BOUNDED) == ErrorCode.INVALID_TIMESTAMP


def test_log_append_time_is_stamped_and_checks_nothing_else() -> None:
    for record in (_record(), _record(NOW + 2 * HOUR), _record(-1)):
        payload = memoryview(build_batch([record], compression=Compression.GZIP))
        valid = validate_produced(payload, config=APPEND_TIME, now_ms=NOW)
        assert valid.log_append_time_ms == NOW
        assert valid.header.max_timestamp == NOW
        assert valid.header.has_log_append_time
        assert crc_is_valid(payload, 0, read_header(payload))
    assert _answer(_stamped(NOW), APPEND_TIME) == ErrorCode.INVALID_TIMESTAMP


def test_a_claimed_append_time_is_forgotten_where_timestamps_are_the_producers() -> None:
    valid = validate_produced(memoryview(_stamped(NOW)), config=CONFIG, now_ms=NOW)
    assert not valid.header.has_log_append_time
    assert valid.header.max_timestamp == NOW
    assert valid.log_append_time_ms == -1


@pytest.mark.parametrize("codec", Compression)
def test_a_compacted_topic_needs_keys(codec: Compression) -> None:
    def build(*keys: bytes | None) -> bytearray:
        return build_batch([_record(key=key) for key in keys], compression=codec)

    assert _answer(build(b"a", b""), COMPACTED) == ErrorCode.NONE
    assert _answer(build(b"a", None), COMPACTED) == INVALID
    assert _answer(build(b"a", None)) == ErrorCode.NONE
    both = replace(COMPACTED, cleanup_policy=frozenset({"compact", "delete"}))
    assert _answer(build(None), both) == INVALID


def test_a_missing_key_is_seen_before_a_wrong_timestamp() -> None:
    batch = build_batch([_record(NOW + 2 * HOUR, key=None)])
    assert _answer(batch, COMPACTED) == INVALID
    assert _answer(build_batch([_record(NOW + 2 * HOUR)]), COMPACTED) == ErrorCode.INVALID_TIMESTAMP


def test_a_compacted_topic_refuses_what_it_cannot_read() -> None:
    assert _answer(_edit(21, ">h", Compression.ZSTD), COMPACTED) == INVALID


def test_the_brokers_own_batches_may_be_control_and_without_sequence() -> None:
    batch = _produced(is_control=True, producer_id=7, producer_epoch=1, is_transactional=True)
    payload = memoryview(batch)
    valid = validate_produced(payload, config=COMPACTED, now_ms=NOW, internal=True)
    assert valid.header.is_control
    with pytest.raises(KafkaError):
        validate_produced(memoryview(_flipped(batch)), config=COMPACTED, now_ms=NOW, internal=True)


def test_a_checksum_verified_elsewhere_is_not_summed_again() -> None:
    payload = memoryview(_flipped(GOOD))
    assert validate_produced(
        payload, config=CONFIG, now_ms=NOW, prepared=PreparedBatch(True, None)
    ).header


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(GOOD)),
    st.binary(max_size=30),
    st.booleans(),
)
def test_any_payload_is_taken_or_refused(
    edits: list[tuple[int, int]], keep: int, tail: bytes, summed: bool
) -> None:
    batch = bytearray(GOOD)
    for position, value in edits:
        batch[position] = value
    if summed:
        batch = _sum(batch)
    for config in (CONFIG, COMPACTED, APPEND_TIME):
        _answer(batch[:keep] + tail, config)
        _answer(batch + tail, config)


def _at(base_offset: int, count: int = 1) -> bytearray:
    return build_batch([_record()] * count, base_offset=base_offset, leader_epoch=3)


def test_replicated_batches_come_whole_and_in_order() -> None:
    data = _at(5, 2) + _at(9) + _at(10)
    found = validate_replicated(memoryview(data + _at(11)[:-1]), next_offset=5)
    assert [(at, header.base_offset) for at, header in found] == [
        (0, 5),
        (len(_at(5, 2)), 9),
        (len(_at(5, 2) + _at(9)), 10),
    ]
    assert validate_replicated(memoryview(b""), next_offset=5) == []


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda: _at(4), INVALID),
        (lambda: _at(6) + _at(5), INVALID),
        (lambda: _at(5) + _flipped(_at(6)), CORRUPT),
        (lambda: _at(5) + bytes(30), CORRUPT),
    ],
)
def test_replicated_batches_that_are_refused(
    build: Callable[[], bytearray], code: ErrorCode
) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_replicated(memoryview(build()), next_offset=5)
    assert caught.value.code == code
