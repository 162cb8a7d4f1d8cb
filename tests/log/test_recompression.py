"""A topic's codec: which batches are packed anew, what a thread prepares, and what is refused."""

import pytest

from log.log_config import LogConfig, TargetCompression
from log.recompression import (
    MAX_DECOMPRESSED_BYTES,
    PreparedBatch,
    is_to_be_recompressed,
    prepare,
    recompress,
)
from log.validation import validate_produced
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import build_batch, crc_is_valid, read_header
from wire.records.batch_header import CONTROL_BIT, CRC_AT, TRANSACTIONAL_BIT
from wire.records.compression import Compression
from wire.records.record import Record, iterate_records

NOW = 1_795_365_810_398


def config_for(codec: Compression, level: int | None = None, **other: object) -> LogConfig:
    return LogConfig(compression=TargetCompression(codec, level), **other)  # type: ignore[arg-type]


def batch_in(codec: Compression, value: bytes = b"v" * 500, count: int = 3) -> bytearray:
    return build_batch([Record(0, NOW, b"k", value)] * count, compression=codec)


def values_of(batch: memoryview) -> list[bytes | None]:
    return [record.value for record in iterate_records(batch, max_decompressed_bytes=1 << 20)]


def refusal(batch: bytearray, config: LogConfig, prepared: PreparedBatch | None) -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        validate_produced(memoryview(batch), config=config, now_ms=NOW, prepared=prepared)
    return caught.value.code


@pytest.mark.parametrize("codec", Compression)
@pytest.mark.parametrize("wanted", Compression)
def test_batches_in_the_topics_codec_stay_and_others_change(
    codec: Compression, wanted: Compression
) -> None:
    config = config_for(wanted)
    assert is_to_be_recompressed(int(codec) | TRANSACTIONAL_BIT, config) == (codec is not wanted)
    payload = memoryview(batch_in(codec))
    for prepared in (None, prepare(payload, config)):
        valid = validate_produced(payload, config=config, now_ms=NOW, prepared=prepared)
        assert valid.header.compression is wanted
        assert crc_is_valid(valid.records, 0, valid.header)
        assert values_of(valid.records) == [b"v" * 500] * 3
        assert (valid.records.obj is payload.obj) == (codec is wanted), "copied only where it must"


def test_without_a_codec_of_its_own_a_topic_keeps_every_batch() -> None:
    assert not any(is_to_be_recompressed(int(codec), LogConfig()) for codec in Compression)
    payload = memoryview(batch_in(Compression.GZIP))
    assert prepare(payload, LogConfig()) == PreparedBatch(True, None)


def test_control_batches_and_codecs_that_do_not_exist_stay() -> None:
    config = config_for(Compression.GZIP)
    assert not is_to_be_recompressed(CONTROL_BIT, config)
    assert not is_to_be_recompressed(5, config)


def test_the_brokers_own_batches_stay() -> None:
    payload = memoryview(batch_in(Compression.NONE))
    config = config_for(Compression.ZSTD)
    valid = validate_produced(payload, config=config, now_ms=NOW, internal=True)
    assert valid.header.compression is Compression.NONE


def test_the_level_is_the_topics() -> None:
    value = b"".join(b"line %d of a text that compresses\n" % i for i in range(3000))
    payload = memoryview(batch_in(Compression.NONE, value, 1))
    sizes = [
        validate_produced(payload, config=config_for(Compression.GZIP, level), now_ms=NOW).header
        for level in (1, 9)
    ]
    assert sizes[0].size_bytes > sizes[1].size_bytes


def test_the_size_is_judged_as_it_comes_and_as_it_is_stored() -> None:
    plain = batch_in(Compression.NONE, bytes(60_000), 1)
    packed = batch_in(Compression.ZSTD, bytes(60_000), 1)
    small = {"max_message_bytes": 10_000}
    to_gzip = config_for(Compression.GZIP, **small)
    to_plain = config_for(Compression.NONE, **small)
    for batch, config in ((plain, to_gzip), (packed, to_plain)):
        for prepared in (None, prepare(memoryview(batch), config)):
            assert refusal(batch, config, prepared) == ErrorCode.MESSAGE_TOO_LARGE
    assert validate_produced(memoryview(packed), config=to_gzip, now_ms=NOW).header
    assert prepare(memoryview(plain), to_gzip).recompressed is None, "no work for what is refused"
    to_segment = config_for(Compression.NONE, segment_bytes=10_000)
    assert refusal(packed, to_segment, None) == ErrorCode.RECORD_LIST_TOO_LARGE


def test_what_expands_too_far_is_too_large() -> None:
    bomb = batch_in(Compression.ZSTD, bytes(MAX_DECOMPRESSED_BYTES), 1)
    prepared = prepare(memoryview(bomb), config_for(Compression.GZIP))
    assert isinstance(prepared.recompressed, KafkaError)
    assert prepared.recompressed.code == ErrorCode.MESSAGE_TOO_LARGE


@pytest.mark.parametrize("codec", list(Compression)[1:])
def test_records_that_are_not_what_the_codec_makes(codec: Compression) -> None:
    batch = batch_in(Compression.NONE)
    damaged = bytearray(batch)
    damaged[22] |= codec
    _sum(damaged)
    config = config_for(Compression.GZIP if codec is Compression.LZ4 else Compression.LZ4)
    for prepared in (None, prepare(memoryview(damaged), config)):
        if codec is not config.compression.codec:
            assert refusal(damaged, config, prepared) == ErrorCode.UNKNOWN_SERVER_ERROR


def test_preparing_never_raises_and_a_bad_checksum_is_found_again() -> None:
    config = config_for(Compression.GZIP)
    flipped = batch_in(Compression.NONE)
    flipped[-1] ^= 1
    prepared = prepare(memoryview(flipped), config)
    assert prepared == PreparedBatch(False, None)
    assert refusal(flipped, config, prepared) == ErrorCode.CORRUPT_MESSAGE
    short = memoryview(batch_in(Compression.NONE))[:70]
    assert prepare(short, config) == PreparedBatch(False, None)
    assert prepare(memoryview(bytes(61)), config) == PreparedBatch(False, None)


def test_a_topic_that_changed_meanwhile_gets_what_it_wants_now() -> None:
    payload = memoryview(batch_in(Compression.NONE))
    prepared = prepare(payload, config_for(Compression.GZIP))
    now_lz4 = config_for(Compression.LZ4)
    valid = validate_produced(payload, config=now_lz4, now_ms=NOW, prepared=prepared)
    assert valid.header.compression is Compression.LZ4
    as_it_is = validate_produced(payload, config=LogConfig(), now_ms=NOW, prepared=prepared)
    assert as_it_is.header.compression is Compression.NONE


def test_the_brokers_time_is_stamped_on_the_new_batch_alone() -> None:
    config = config_for(Compression.SNAPPY, message_timestamp_type="LogAppendTime")
    payload = batch_in(Compression.NONE)
    before = bytes(payload)
    valid = validate_produced(memoryview(payload), config=config, now_ms=NOW + 5)
    assert valid.header.has_log_append_time
    assert valid.header.max_timestamp == NOW + 5
    assert crc_is_valid(valid.records, 0, valid.header)
    assert payload == before


def test_packing_anew_leaves_the_batch_as_it_was() -> None:
    payload = batch_in(Compression.GZIP)
    before = bytes(payload)
    made = recompress(memoryview(payload), read_header(payload), config_for(Compression.ZSTD))
    assert payload == before
    assert values_of(made) == [b"v" * 500] * 3


def _sum(batch: bytearray) -> None:
    from crc32c import crc32c

    batch[CRC_AT : CRC_AT + 4] = crc32c(bytes(batch[21:])).to_bytes(4, "big")
