"""Settings of topics: the codec that batches are packed anew in, and settings that change."""

from tools.record.batches import batch, patched
from tools.record.config_requests import DELETE, SET, TOPIC, change, describe
from tools.record.player import Player
from tools.record.requests import fetch, fetch_part, list_offsets, produce, produce_many
from wire.records.batch_header import ATTRIBUTES_AT
from wire.records.compression import Compression

HOUR_MS = 3_600_000
SIXTY_KB = "x" * 60_000
MEGABYTE = 1 << 20


def codecs(kafka: Player) -> None:
    """compression.type: every codec becomes the topic's, and offsets count on."""
    for wanted in ("gzip", "snappy", "lz4", "zstd", "uncompressed", "producer"):
        topic = f"settings-{wanted}"
        kafka.setup_topic(topic, compression_type=wanted)
        for codec in Compression:
            records = batch("a" * 100, "b", None, key=b"k", compression=codec)
            kafka.send(f"{codec.name.lower()} to {wanted}", produce(topic, records), 9)
        kafka.send(f"fetched from {wanted}", fetch(fetch_part(topic, 0)), 11)
    kafka.send("from old clients", produce("settings-zstd", batch("a")), 3)
    kafka.send("fetched by old clients", fetch(fetch_part("settings-zstd", 0)), 9)
    kafka.send("gzip fetched by old clients", fetch(fetch_part("settings-gzip", 0)), 4)


def levels(kafka: Player) -> None:
    """compression.*.level: the extremes work."""
    for codec, level in (
        ("gzip", "-1"),
        ("gzip", "1"),
        ("gzip", "9"),
        ("lz4", "1"),
        ("lz4", "17"),
        ("zstd", "-131072"),
        ("zstd", "22"),
    ):
        topic = f"settings-level-{codec}{level}"
        if codec == "gzip":
            kafka.setup_topic(topic, compression_type=codec, compression_gzip_level=level)
        elif codec == "lz4":
            kafka.setup_topic(topic, compression_type=codec, compression_lz4_level=level)
        else:
            kafka.setup_topic(topic, compression_type=codec, compression_zstd_level=level)
        kafka.send(f"{codec} level {level}", produce(topic, batch(SIXTY_KB)), 9)
        kafka.send(f"fetched, {codec} level {level}", fetch(fetch_part(topic, 0)), 11)


def codec_repeats(kafka: Player) -> None:
    """An idempotent producer's repeated batch is known again, whatever became of it."""
    kafka.setup_topic("settings-repeats", compression_type="gzip")

    def numbered(sequence: int, codec: Compression = Compression.NONE) -> bytearray:
        return batch(
            "a",
            "b",
            producer_id=77,
            producer_epoch=0,
            base_sequence=sequence,
            compression=codec,
        )

    for title, records in (
        ("first", numbered(0)),
        ("first again", numbered(0)),
        ("second", numbered(2, Compression.LZ4)),
        ("second again", numbered(2, Compression.LZ4)),
        ("second again, in another codec", numbered(2)),
        ("first once more", numbered(0)),
        ("a gap", numbered(9)),
    ):
        kafka.send(title, produce("settings-repeats", records), 9)
    kafka.send("fetched", fetch(fetch_part("settings-repeats", 0)), 11)


def codec_several(kafka: Player) -> None:
    """Partitions of one request go their own ways."""
    for topic, wanted in (("a", "zstd"), ("b", "gzip"), ("c", "producer")):
        kafka.setup_topic(f"settings-several-{topic}", 2, compression_type=wanted)
    good = batch("a", compression=Compression.LZ4)
    cut = patched(batch("a"), ">h", ATTRIBUTES_AT, int(Compression.LZ4))
    wrong_sum = patched(good, ">b", len(good) - 1, 7, fix_crc=False)
    kafka.send(
        "one good, one bad, one as it is",
        produce_many(
            [
                (f"settings-several-{topic}", 0, data)
                for topic, data in zip("abc", (good, cut, good), strict=True)
            ]
        ),
        9,
    )
    kafka.send(
        "a wrong checksum, no such partition, no batch",
        produce_many(
            [
                ("settings-several-a", 1, wrong_sum),
                ("settings-several-b", 2, good),
                ("settings-several-c", 1, b""),
                ("settings-several-none", 0, good),
            ]
        ),
        9,
    )
    kafka.send("for the leader alone", produce("settings-several-a", good, acks=1), 9)
    kafka.send_without_answer("for nobody", produce("settings-several-a", good, acks=0), 9)
    kafka.send("for all", produce("settings-several-a", good), 9)
    kafka.send("what is there", fetch(fetch_part("settings-several-a", 0)), 11)
    topic_id = kafka.setup_topic("settings-several-id", compression_type="snappy")
    kafka.send("to a topic by its id", produce(topic_id, good), 13)
    kafka.send("fetched by its id", fetch(fetch_part(topic_id, 0)), 13)


def codec_damage(kafka: Player) -> None:
    """Records that are not what the codec in the header makes, for a topic with its own codec."""
    topic = "settings-damage"
    kafka.setup_topic(topic, compression_type="gzip")
    plain = batch("a" * 300, "b" * 300)
    for codec in (Compression.SNAPPY, Compression.LZ4, Compression.ZSTD):
        name = codec.name.lower()
        good = batch("a" * 300, "b" * 300, compression=codec)
        kafka.send(
            f"plain records called {name}",
            produce(topic, patched(plain, ">h", ATTRIBUTES_AT, int(codec))),
            9,
        )
        kafka.send(f"{name} cut", produce(topic, _resized(good, len(good) - 6)), 9)
    kafka.send(
        "a codec that does not exist", produce(topic, patched(plain, ">h", ATTRIBUTES_AT, 6)), 9
    )
    kafka.send("nothing was appended", list_offsets(topic, -1), 7)


def codec_sizes(kafka: Player) -> None:
    """max.message.bytes is judged as the batch comes, and again as it is stored."""
    limits = {"max_message_bytes": "10000"}
    kafka.setup_topic("settings-sizes-gzip", compression_type="gzip", **limits)
    kafka.setup_topic("settings-sizes-plain", compression_type="uncompressed", **limits)
    kafka.setup_topic("settings-sizes-producer", **limits)
    plain = batch(SIXTY_KB)
    packed = batch(SIXTY_KB, compression=Compression.ZSTD)
    small = batch("x" * 9_000, compression=Compression.ZSTD)
    for wanted in ("gzip", "plain", "producer"):
        topic = f"settings-sizes-{wanted}"
        kafka.send(f"60 kB to {wanted}", produce(topic, plain), 9)
        kafka.send(f"60 kB in zstd to {wanted}", produce(topic, packed), 9)
        kafka.send(f"9 kB in zstd to {wanted}", produce(topic, small), 9)


def codec_segments(kafka: Player) -> None:
    """A batch must fit a segment as it is stored."""
    large = {"segment_bytes": str(MEGABYTE), "max_message_bytes": str(4 * MEGABYTE)}
    kafka.setup_topic("settings-segment-gzip", compression_type="gzip", **large)
    kafka.setup_topic("settings-segment-plain", compression_type="uncompressed", **large)
    records = batch("x" * (3 * MEGABYTE // 2), compression=Compression.GZIP)
    plain = batch("x" * (3 * MEGABYTE // 2))
    for wanted in ("gzip", "plain"):
        kafka.send(f"in gzip to {wanted}", produce(f"settings-segment-{wanted}", records), 9)
    kafka.send("plain to gzip", produce("settings-segment-gzip", plain), 9)
    kafka.send("plain to plain", produce("settings-segment-plain", plain), 9)


def codec_times(kafka: Player) -> None:
    """Timestamps of batches packed anew: the producer's, the broker's, and refused ones."""
    kafka.setup_topic("settings-times", compression_type="lz4")
    kafka.setup_topic(
        "settings-append-times", compression_type="lz4", message_timestamp_type="LogAppendTime"
    )
    now = kafka.now_ms
    step = batch("a", "b", "c", timestamp_ms=now - HOUR_MS, timestamp_step_ms=1000)
    back = batch("d", "e", timestamp_ms=now - HOUR_MS, timestamp_step_ms=-2000)
    none = batch("f", timestamp_ms=-1)
    ahead = batch("g", timestamp_ms=now + 2 * HOUR_MS, compression=Compression.GZIP)
    for topic in ("settings-times", "settings-append-times"):
        kafka.send(f"ascending to {topic}", produce(topic, step), 9)
        kafka.send(f"descending to {topic}", produce(topic, back), 9)
        kafka.send(f"none to {topic}", produce(topic, none), 9)
        kafka.send(f"two hours ahead to {topic}", produce(topic, ahead), 9)
        kafka.send(f"fetched from {topic}", fetch(fetch_part(topic, 0)), 11)
    kafka.send("the first at a time", list_offsets("settings-times", now - HOUR_MS + 500), 7)
    kafka.send("the largest", list_offsets("settings-times", -3), 7)


def codec_compacted(kafka: Player) -> None:
    """Keys are asked for in any codec."""
    kafka.setup_topic("settings-compacted", compression_type="zstd", cleanup_policy="compact")
    for codec in (Compression.NONE, Compression.SNAPPY):
        for key in (None, b"k"):
            records = batch("a", "b", key=key, compression=codec)
            title = f"{codec.name.lower()}, {'a key' if key else 'no key'}"
            kafka.send(title, produce("settings-compacted", records), 9)
    kafka.send("fetched", fetch(fetch_part("settings-compacted", 0)), 11)


def _resized(data: bytearray, size: int) -> bytearray:
    return patched(data[:size], ">i", 8, size - 12)


def altered(kafka: Player) -> None:
    """A setting that changes holds from the next batch on, and its default after its end."""
    topic = "settings-altered"
    kafka.setup_topic(topic)
    now = kafka.now_ms
    kafka.send("plain", produce(topic, batch("a")), 9)
    _alter(kafka, topic, "compression.type", "gzip")
    kafka.send("packed", produce(topic, batch("b")), 9)
    _alter(kafka, topic, "compression.type", "snappy")
    kafka.send("in snappy", produce(topic, batch("b")), 9)
    _alter(kafka, topic, "compression.type", None)
    kafka.send("plain again", produce(topic, batch("c")), 9)
    _alter(kafka, topic, "max.message.bytes", "100")
    kafka.send("too large", produce(topic, batch("x" * 200)), 9)
    _alter(kafka, topic, "max.message.bytes", None)
    kafka.send("not too large", produce(topic, batch("x" * 200)), 9)
    _alter(kafka, topic, "message.timestamp.type", "LogAppendTime")
    kafka.send("the broker's time", produce(topic, batch("d")), 9)
    _alter(kafka, topic, "message.timestamp.type", "CreateTime")
    kafka.send("the producer's time", produce(topic, batch("e")), 9)
    _alter(kafka, topic, "message.timestamp.before.max.ms", str(HOUR_MS))
    kafka.send("too old", produce(topic, batch("f")), 9)
    _alter(kafka, topic, "message.timestamp.before.max.ms", None)
    _alter(kafka, topic, "message.timestamp.after.max.ms", "0")
    kafka.send("too new", produce(topic, batch("g", timestamp_ms=now + HOUR_MS // 2)), 9)
    _alter(kafka, topic, "message.timestamp.after.max.ms", None)
    kafka.send("new enough", produce(topic, batch("g", timestamp_ms=now + HOUR_MS // 2)), 9)
    _alter(kafka, topic, "cleanup.policy", "compact")
    kafka.send("no key", produce(topic, batch("h")), 9)
    _alter(kafka, topic, "cleanup.policy", "delete")
    kafka.send("no key needed", produce(topic, batch("h")), 9)
    _alter(kafka, topic, "min.insync.replicas", "2")
    kafka.send("two replicas wanted", produce(topic, batch("i")), 9)
    _alter(kafka, topic, "segment.bytes", str(MEGABYTE))
    _alter(kafka, topic, "max.message.bytes", str(4 * MEGABYTE))
    kafka.send("more than a segment", produce(topic, batch("x" * 2 * MEGABYTE)), 9)
    kafka.send("fetched", fetch(fetch_part(topic, 0)), 11)


def _alter(kafka: Player, topic: str, key: str, value: str | None) -> None:
    """Change a topic's setting (None: to its default) and wait until the broker knows."""
    resource = (TOPIC, topic)
    operation = DELETE if value is None else SET
    kafka.setup_send(change(resource, (key, operation, value)), 1)
    shown = "config_source: 5" if value is None else f'value: "{value}"'
    kafka.setup_until(describe(resource, keys=[key]), 4, lambda answer: shown in answer)


SCENARIOS = {
    "topic_settings/codecs": codecs,
    "topic_settings/levels": levels,
    "topic_settings/codec_repeats": codec_repeats,
    "topic_settings/codec_several": codec_several,
    "topic_settings/codec_damage": codec_damage,
    "topic_settings/codec_sizes": codec_sizes,
    "topic_settings/codec_segments": codec_segments,
    "topic_settings/codec_times": codec_times,
    "topic_settings/codec_compacted": codec_compacted,
    "topic_settings/altered": altered,
}
