"""Produce: every version, every acks value, and what a broker must refuse."""

from tools.record.batches import (
    LAST_OFFSET_DELTA_AT,
    RECORD_COUNT_AT,
    TIMESTAMP_MS,
    batch,
    message_set,
    patched,
)
from tools.record.player import Player
from tools.record.requests import fetch, fetch_part, list_offsets, produce, produce_many
from wire.messages.produce import ProduceRequest
from wire.records.batch_header import ATTRIBUTES_AT, MAGIC_AT
from wire.records.compression import Compression
from wire.records.record import Header

BASE_OFFSET_AT = 0
BATCH_LENGTH_AT = 8
UNKNOWN_ID = bytes(range(16))
HOUR_MS = 3_600_000


def versions(kafka: Player) -> None:
    """Every version appends a batch, and says so in its own fields."""
    topic_id = kafka.setup_topic("produce-versions")
    for version in ProduceRequest.VERSIONS:
        name = topic_id if version >= 13 else "produce-versions"
        kafka.send(f"version {version}", produce(name, batch(f"v{version}")), version)
    kafka.send("all of it", fetch(fetch_part("produce-versions", 0)), 11)


def refused_versions(kafka: Player) -> None:
    """Every version refuses a partition that is not there, and an unknown topic."""
    topic_id = kafka.setup_topic("produce-refused")
    for version in ProduceRequest.VERSIONS:
        name, unknown = (
            (topic_id, UNKNOWN_ID) if version >= 13 else ("produce-refused", "produce-nowhere")
        )
        kafka.send(
            f"version {version}",
            produce_many([(name, 7, batch()), (unknown, 0, batch())]),
            version,
        )


def acks(kafka: Player) -> None:
    """acks is -1, 0 or 1; 0 is not answered, and an error then closes the connection."""
    kafka.setup_topic("produce-acks")
    for value in (-1, 1):
        kafka.send(f"acks {value}", produce("produce-acks", batch(), acks=value), 9)
    for value in (2, -2, 32767):
        kafka.send(f"acks {value}", produce("produce-acks", batch(), acks=value), 9)
        kafka.send(f"acks {value}, version 3", produce("produce-acks", batch(), acks=value), 3)
    kafka.send_without_answer("acks 0", produce("produce-acks", batch("silent"), acks=0), 9)
    kafka.send_without_answer(
        "acks 0, version 3", produce("produce-acks", batch("silent"), acks=0), 3
    )
    kafka.send("after acks 0", produce("produce-acks", batch()), 9)
    kafka.send_without_answer(
        "acks 0, unknown partition", produce("produce-acks", batch(), partition=9, acks=0), 9
    )
    kafka.send_without_answer(
        "acks 0, wrong checksum",
        produce("produce-acks", patched(batch(), ">I", 17, 1, fix_crc=False), acks=0),
        9,
    )
    kafka.send("after the errors", produce("produce-acks", batch()), 9)


def empty(kafka: Player) -> None:
    """No topics, no partitions, no records, null records."""
    kafka.setup_topic("produce-empty")
    nothing = ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[])
    kafka.send("no topics", nothing, 9)
    kafka.send("no topics, version 3", nothing, 3)
    kafka.send("no topics, acks 2", ProduceRequest(acks=2, timeout_ms=1000, topic_data=[]), 9)
    no_partitions = produce("produce-empty", None)
    no_partitions.topic_data[0].partition_data = []
    kafka.send("no partitions", no_partitions, 9)
    kafka.send("records of no bytes", produce("produce-empty", b""), 9)
    kafka.send("a batch without records", produce("produce-empty", _without_records()), 9)
    kafka.send("nothing was appended", list_offsets("produce-empty", -1), 7)


def _without_records() -> bytearray:
    data = batch()[:61]
    data = patched(data, ">i", BATCH_LENGTH_AT, 49, fix_crc=False)
    data = patched(data, ">i", LAST_OFFSET_DELTA_AT, -1, fix_crc=False)
    return patched(data, ">i", RECORD_COUNT_AT, 0)


def many_partitions(kafka: Player) -> None:
    """One request for several partitions: each has its own outcome."""
    kafka.setup_topic("produce-many-a", partitions=3)
    kafka.setup_topic("produce-many-b")
    bad = patched(batch(), ">I", 17, 1, fix_crc=False)
    kafka.send(
        "good and bad",
        produce_many(
            [
                ("produce-many-a", 0, batch("a0")),
                ("produce-many-b", 0, batch("b0", "b1")),
                ("produce-nowhere", 0, batch()),
            ]
        ),
        9,
    )
    mixed = produce("produce-many-a", batch("a0"))
    for index, records in ((1, bad), (2, batch("a2")), (3, batch("a3"))):
        mixed.topic_data[0].partition_data += (
            produce("produce-many-a", records, partition=index).topic_data[0].partition_data
        )
    kafka.send("one topic, good and bad", mixed, 9)
    kafka.send("what is there", list_offsets("produce-many-a", -1, partitions=(0, 1, 2)), 7)
    kafka.setup_topic("produce-twice")
    twice = produce("produce-twice", batch("first"))
    twice.topic_data[0].partition_data += (
        produce("produce-twice", batch("second", "third")).topic_data[0].partition_data
    )
    kafka.send("a partition twice", twice, 9)
    kafka.send("what is there of it", fetch(fetch_part("produce-twice", 0)), 11)


def names(kafka: Player) -> None:
    """Names that no topic can have, or none has."""
    for title, name in (
        ("an empty name", ""),
        ("a dot", "."),
        ("a slash", "a/b"),
        ("250 characters", "x" * 250),
        ("unknown", "produce-never-made"),
    ):
        kafka.send(title, produce(name, batch()), 9)
        kafka.send(f"{title}, version 12", produce(name, batch()), 12)
    kafka.send("a negative partition", produce("produce-never-made", batch(), partition=-1), 9)
    kafka.send("id zero", produce(bytes(16), batch()), 13)
    kafka.send("unknown id", produce(UNKNOWN_ID, batch()), 13)


def corrupt(kafka: Player) -> None:
    """Batches with one thing wrong are refused with the error that says which."""
    topic = "produce-corrupt"
    kafka.setup_topic(topic)
    good = batch("one", "two")
    cases: list[tuple[str, bytes | bytearray]] = [
        ("wrong checksum", patched(good, ">I", 17, 1, fix_crc=False)),
        ("a changed byte in the records", patched(good, ">B", len(good) - 2, 7, fix_crc=False)),
        ("two batches", batch("one") + batch("two")),
        ("a batch and some bytes", batch("one") + b"\0" * 7),
        ("a batch and a cut batch", batch("one") + batch("two")[:-5]),
        ("a cut batch", good[:-3]),
        ("a cut header", good[:40]),
        ("five bytes", good[:5]),
        ("magic 0", message_set(0, b"old")),
        ("magic 1", message_set(1, b"old")),
        ("magic 3", patched(good, ">b", MAGIC_AT, 3)),
        ("magic -1", patched(good, ">b", MAGIC_AT, -1)),
        ("length zero", patched(good, ">i", BATCH_LENGTH_AT, 0)),
        ("length negative", patched(good, ">i", BATCH_LENGTH_AT, -1)),
        ("length one less", patched(good, ">i", BATCH_LENGTH_AT, len(good) - 13)),
        ("length enormous", patched(good, ">i", BATCH_LENGTH_AT, 2**31 - 1)),
        ("count negative", patched(good, ">i", RECORD_COUNT_AT, -1)),
        ("count zero", patched(good, ">i", RECORD_COUNT_AT, 0)),
        ("count too high", patched(good, ">i", RECORD_COUNT_AT, 3)),
        ("count too low", patched(good, ">i", RECORD_COUNT_AT, 1)),
        ("last offset delta too high", patched(good, ">i", LAST_OFFSET_DELTA_AT, 5)),
        ("last offset delta zero", patched(good, ">i", LAST_OFFSET_DELTA_AT, 0)),
        ("last offset delta negative", patched(good, ">i", LAST_OFFSET_DELTA_AT, -1)),
        ("codec 5", patched(good, ">h", ATTRIBUTES_AT, 5)),
        ("codec 7", patched(good, ">h", ATTRIBUTES_AT, 7)),
        ("control bit", batch("one", control=True)),
        ("control bit with a producer id", batch(control=True, producer_id=1, producer_epoch=0)),
        ("the log append time bit", patched(good, ">h", ATTRIBUTES_AT, 8)),
        ("an unused attribute bit", patched(good, ">h", ATTRIBUTES_AT, 0x80)),
        ("the delete horizon bit", patched(good, ">h", ATTRIBUTES_AT, 0x40)),
        ("base offset 5", batch("one", base_offset=5)),
        ("base offset negative", patched(good, ">q", BASE_OFFSET_AT, -1)),
        ("leader epoch 9", batch("one", leader_epoch=9)),
    ]
    for title, records in cases:
        kafka.send(title, produce(topic, records), 9)
    kafka.send("what was appended", fetch(fetch_part(topic, 0)), 11)


def damaged_inside(kafka: Player) -> None:
    """Batches with a sound header and checksum, whose records are not what it says."""
    kafka.setup_topic("produce-inside", partitions=9)
    good = batch("one", "two")
    gzip = batch("x" * 50, "y" * 50, compression=Compression.GZIP)
    for partition, (title, records) in enumerate(
        (
            ("the gzip bit on plain records", patched(good, ">h", ATTRIBUTES_AT, 1)),
            ("no gzip bit on compressed records", patched(gzip, ">h", ATTRIBUTES_AT, 0)),
            ("the zstd bit on gzip", patched(gzip, ">h", ATTRIBUTES_AT, 4)),
            ("gzip cut", _resized(gzip, len(gzip) - 8)),
            ("more records than declared, compressed", _recounted(gzip, 1)),
            ("fewer records than declared, compressed", _recounted(gzip, 3)),
            ("a record longer than the batch", patched(good, ">B", 61, 126)),
            ("an offset delta that skips", patched(good, ">B", 61 + 3, 8)),
            ("bytes after the records", _resized(good + b"\0\0\0", len(good) + 3)),
        )
    ):
        kafka.send(title, produce("produce-inside", records, partition=partition), 9)


def _recounted(data: bytearray, count: int) -> bytearray:
    return patched(
        patched(data, ">i", RECORD_COUNT_AT, count), ">i", LAST_OFFSET_DELTA_AT, count - 1
    )


def _resized(data: bytearray, size: int) -> bytearray:
    return patched(data[:size], ">i", BATCH_LENGTH_AT, size - 12)


def transactional_marks(kafka: Player) -> None:
    """A batch is transactional if and only if the request names a transactional id."""
    kafka.setup_topic("produce-marks")
    marked = batch(producer_id=77, producer_epoch=0, base_sequence=0, transactional=True)
    kafka.send("a transactional batch without an id", produce("produce-marks", marked), 9)
    kafka.send(
        "a transactional batch without a producer id",
        produce("produce-marks", batch(transactional=True)),
        9,
    )
    kafka.send("nothing was appended", list_offsets("produce-marks", -1), 7)
    kafka.send(
        "an id, and a batch that is not transactional",
        produce("produce-marks", batch(), transactional_id="produce-marks"),
        9,
    )
    plain = batch(producer_id=78, producer_epoch=0, base_sequence=0)
    kafka.send(
        "an id, and an idempotent batch that is not transactional",
        produce("produce-marks", plain, transactional_id="produce-marks"),
        9,
    )


def codecs(kafka: Player) -> None:
    """Every codec is taken and served as it came; zstd only from version 7 on (KIP-110)."""
    kafka.setup_topic("produce-codecs")
    for codec in Compression:
        records = batch("x" * 200, "y" * 200, compression=codec)
        kafka.send(codec.name.lower(), produce("produce-codecs", records), 7)
    zstd = batch("x" * 200, compression=Compression.ZSTD)
    for version in (3, 6):
        kafka.send(f"zstd in version {version}", produce("produce-codecs", zstd), version)
    gzip = batch("x" * 200, compression=Compression.GZIP)
    kafka.send("gzip in version 3", produce("produce-codecs", gzip), 3)
    kafka.send("fetched", fetch(fetch_part("produce-codecs", 0)), 11)
    kafka.send("fetched below zstd's version", fetch(fetch_part("produce-codecs", 0)), 9)
    kafka.send("fetched from zstd on, old version", fetch(fetch_part("produce-codecs", 8)), 4)


def too_large(kafka: Player) -> None:
    """max.message.bytes limits one batch, whole."""
    kafka.setup_topic("produce-large", max_message_bytes="1000")
    fits = batch("x" * (1000 - len(batch("")) - 4))
    for title, size in (("1000 bytes", 0), ("1001 bytes", 1), ("5000 bytes", 4000)):
        records = batch("x" * (1000 - len(batch("x" * 900)) + 900 + size))
        assert len(records) in (1000 + size, 1000 + size + 1), len(records)
        kafka.send(title, produce("produce-large", records), 9)
    kafka.send("well within", produce("produce-large", fits), 9)
    kafka.send("5000 bytes, version 3", produce("produce-large", batch("x" * 5000)), 3)


def timestamps(kafka: Player) -> None:
    """Timestamps too far in the future are refused; how far is the topic's choice (KIP-937)."""
    kafka.setup_topic("produce-times")
    kafka.setup_topic("produce-append-times", message_timestamp_type="LogAppendTime")
    kafka.setup_topic(
        "produce-strict-times",
        message_timestamp_before_max_ms=str(HOUR_MS),
        message_timestamp_after_max_ms=str(5 * HOUR_MS),
    )
    now = kafka.now_ms
    for title, at in (
        ("now", now),
        ("long past", TIMESTAMP_MS),
        ("none", -1),
        ("two hours ahead", now + 2 * HOUR_MS),
        ("two days ahead", now + 48 * HOUR_MS),
    ):
        for topic in ("produce-times", "produce-append-times", "produce-strict-times"):
            kafka.send(f"{title}, {topic}", produce(topic, batch("t", timestamp_ms=at)), 9)
    step = batch("a", "b", "c", timestamp_ms=now - HOUR_MS, timestamp_step_ms=2 * HOUR_MS)
    kafka.send("some records ahead", produce("produce-times", step), 9)
    kafka.send("log append time, version 3", produce("produce-append-times", batch()), 3)
    for topic in ("produce-times", "produce-append-times"):
        kafka.send(f"fetched from {topic}", fetch(fetch_part(topic, 0)), 11)


def compacted(kafka: Player) -> None:
    """A compacted topic refuses records without a key, one error a record (KIP-467)."""
    kafka.setup_topic("produce-compacted", cleanup_policy="compact")
    for version in (3, 8, 12):
        keyless = produce("produce-compacted", batch("a", "b"))
        kafka.send(f"without a key, version {version}", keyless, version)
    kafka.send("with a key", produce("produce-compacted", batch("a", key=b"k")), 9)
    kafka.send("a tombstone", produce("produce-compacted", batch(None, key=b"k")), 9)


def topic_codec(kafka: Player) -> None:
    """compression.type other than "producer": the broker compresses anew."""
    for codec in ("gzip", "uncompressed"):
        topic = f"produce-codec-{codec}"
        kafka.setup_topic(topic, compression_type=codec)
        for title, compression in (("plain", Compression.NONE), ("gzip", Compression.GZIP)):
            records = batch("x" * 100, "y" * 100, compression=compression)
            kafka.send(f"{title} to {codec}", produce(topic, records), 9)
        kafka.send(f"fetched from {codec}", fetch(fetch_part(topic, 0)), 11)


def insync(kafka: Player) -> None:
    """More in-sync replicas wanted than there are replicas: with one replica one is enough."""
    kafka.setup_topic("produce-insync", min_insync_replicas="2")
    for acks in (-1, 1):
        kafka.send(f"acks {acks}", produce("produce-insync", batch(), acks=acks), 9)


def internal(kafka: Player) -> None:
    """Nobody but the broker writes to its own topics."""
    kafka.setup_offsets_topic()
    for version in (3, 9, 12):
        request = produce("__consumer_offsets", batch(key=b"k"))
        kafka.send(f"offsets, version {version}", request, version)
    kafka.send(
        "offsets, no such partition", produce("__consumer_offsets", batch(), partition=99), 9
    )


def shapes(kafka: Player) -> None:
    """Null and empty keys and values, headers, and an acknowledgement with no time to wait."""
    kafka.setup_topic("produce-shapes")
    headers = (Header("h", b"1"), Header("empty", b""), Header("null", None))
    for title, records in (
        ("a null value", batch(None)),
        ("an empty value", batch("")),
        ("an empty key", batch("v", key=b"")),
        ("headers", batch("v", key=b"k", headers=headers)),
        ("binary", batch(bytes(range(8)))),
    ):
        kafka.send(title, produce("produce-shapes", records), 9)
    kafka.send("no time to wait", produce("produce-shapes", batch("t"), timeout_ms=0), 9)
    kafka.send("a negative timeout", produce("produce-shapes", batch("t"), timeout_ms=-1), 9)
    kafka.send("fetched", fetch(fetch_part("produce-shapes", 0)), 11)


SCENARIOS = {
    "produce/versions": versions,
    "produce/refused_versions": refused_versions,
    "produce/acks": acks,
    "produce/empty": empty,
    "produce/many_partitions": many_partitions,
    "produce/names": names,
    "produce/corrupt": corrupt,
    "produce/damaged_inside": damaged_inside,
    "produce/transactional_marks": transactional_marks,
    "produce/codecs": codecs,
    "produce/too_large": too_large,
    "produce/timestamps": timestamps,
    "produce/compacted": compacted,
    "produce/shapes": shapes,
    "produce/topic_codec": topic_codec,
    "produce/insync": insync,
    "produce/internal": internal,
}
