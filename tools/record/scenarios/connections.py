"""ApiVersions, DescribeCluster, and what ends a connection: unknown keys, versions and bytes."""

from struct import pack

from tools.record.batches import batch
from tools.record.player import Player
from tools.record.requests import fetch, fetch_part, list_offsets, metadata, produce
from wire.api_key import ApiKey
from wire.messages.api_versions import ApiVersionsRequest
from wire.messages.create_topics import CreateTopicsRequest
from wire.messages.describe_cluster import DescribeClusterRequest
from wire.messages.fetch import FetchRequest
from wire.messages.metadata import MetadataRequest
from wire.messages.produce import ProduceRequest


def api_versions(kafka: Player) -> None:
    """Every version lists what is served; too new a one is answered in version 0's form."""
    named = ApiVersionsRequest(client_software_name="recorder", client_software_version="1.0")
    for version in ApiVersionsRequest.VERSIONS:
        kafka.send(f"version {version}", named, version)
    for version in (5, 6, 99, 32767):
        kafka.send_body(f"version {version}", ApiVersionsRequest, version, b"\x02a\x021\0")
    kafka.send("the connection serves on", named, 3)
    for title, name, number in (
        ("an empty name", "", "1"),
        ("an empty version", "a", ""),
        ("a space", "a b", "1"),
        ("a dash at the end", "a-", "1"),
        ("a dash at the start", "-a", "1"),
        ("dots and dashes", "a.b-c", "1.0-rc1"),
        ("not ASCII", "ä", "1"),
    ):
        request = ApiVersionsRequest(client_software_name=name, client_software_version=number)
        kafka.send(title, request, 3)
    kafka.send_body("version -1", ApiVersionsRequest, -1, b"")


def describe_cluster(kafka: Player) -> None:
    """Every version, both types of endpoints and others, fenced brokers, operations."""
    for version in DescribeClusterRequest.VERSIONS:
        for operations in (False, True):
            request = DescribeClusterRequest(include_cluster_authorized_operations=operations)
            kafka.send(f"version {version}, operations {operations}", request, version)
    for endpoint_type in (0, 2, 3, -1):
        request = DescribeClusterRequest(
            include_cluster_authorized_operations=False, endpoint_type=endpoint_type
        )
        kafka.send(f"endpoint type {endpoint_type}", request, 1)
    request = DescribeClusterRequest(
        include_cluster_authorized_operations=False, include_fenced_brokers=True
    )
    kafka.send("with fenced brokers", request, 2)


def unsupported_versions(kafka: Player) -> None:
    """Any API but ApiVersions ends the connection at a version that it does not serve."""
    for key, versions in (
        (ApiKey.PRODUCE, (0, 1, 2, 14)),
        (ApiKey.FETCH, (0, 3, 19)),
        (ApiKey.LIST_OFFSETS, (0, 12)),
        (ApiKey.METADATA, (14, -1)),
        (ApiKey.OFFSET_COMMIT, (0, 1, 11)),
        (ApiKey.OFFSET_FETCH, (0, 11)),
        (ApiKey.FIND_COORDINATOR, (7,)),
        (ApiKey.CREATE_TOPICS, (0, 1, 8)),
        (ApiKey.DELETE_TOPICS, (0, 7)),
        (ApiKey.INIT_PRODUCER_ID, (6, 7)),
        (ApiKey.OFFSET_FOR_LEADER_EPOCH, (0, 1, 5)),
        (ApiKey.DESCRIBE_CLUSTER, (3,)),
    ):
        for version in versions:
            kafka.send_unknown(f"{key.name.lower()} {version}", key, version)


def unknown_keys(kafka: Player) -> None:
    """A key that is no API, or one that only controllers and old brokers served."""
    for key in (93, 999, -1, 32767, 4, 5, 6, 7, 52, 62):
        kafka.send_unknown(f"key {key}", key, 0)


def bad_frames(kafka: Player) -> None:
    """Bytes that are no request end the connection."""
    header = pack(">hhih", ApiKey.METADATA, 4, 1, -1)
    for title, data in (
        ("length zero", pack(">i", 0)),
        ("length negative", pack(">i", -1)),
        ("length enormous", pack(">i", 2**31 - 1) + b"x" * 64),
        ("length above the limit", pack(">i", 104_857_601) + b"x" * 64),
        ("one byte", pack(">i", 1) + b"\0"),
        ("half a header", pack(">i", 6) + header[:6]),
        ("a header without its client id", pack(">i", 8) + header[:8]),
        ("a header alone", pack(">i", 10) + header),
        ("a request over HTTP", b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n"),
        ("the start of TLS", bytes.fromhex("16030100a5010000a10303") + b"x" * 160),
        ("a client id that is too long", pack(">ihhih", 12, 3, 4, 1, 30_000) + b"ab"),
        ("a client id of length -2", pack(">ihhih", 10, 3, 4, 1, -2)),
        ("a client id that is not UTF-8", pack(">ihhih", 12, 3, 99, 1, 2) + b"\xff\xfe"),
    ):
        kafka.send_bytes(title, data)


def odd_headers(kafka: Player) -> None:
    """Headers that no client sends, and that are sound nevertheless."""
    old = pack(">i", 0) + b"\0"
    flexible = b"\x01\0\0\0\0"
    for title, header, body in (
        ("correlation id 0", pack(">hhih", 3, 4, 0, 1) + b"c", old),
        ("correlation id -1", pack(">hhih", 3, 4, -1, 1) + b"c", old),
        ("correlation id 2^31 - 1", pack(">hhih", 3, 4, 2**31 - 1, 1) + b"c", old),
        ("a null client id", pack(">hhih", 3, 4, 7, -1), old),
        ("an empty client id", pack(">hhih", 3, 4, 8, 0), old),
        ("a null client id, flexible", pack(">hhih", 3, 9, 9, -1) + b"\0", flexible),
        ("a tag in the header", pack(">hhih", 3, 9, 10, 1) + b"c\x01\x63\x02ab", flexible),
        ("a header without its tags", pack(">hhih", 3, 9, 11, 1) + b"c", b""),
        ("the same correlation id again", pack(">hhih", 3, 4, 8, 0), old),
    ):
        kafka.send_bytes(title, pack(">i", len(header) + len(body)) + header + body)


def bad_bodies(kafka: Player) -> None:
    """A sound header before a body that is cut, or claims what is not there."""
    kafka.setup_topic("bad-bodies")
    nothing = metadata()
    for title, request, version, body in (
        ("no body", MetadataRequest, 4, b""),
        ("no body, flexible", MetadataRequest, 9, b""),
        ("an array of -2", MetadataRequest, 4, pack(">i", -2) + b"\0"),
        ("an array too long", MetadataRequest, 4, pack(">i", 1_000_000) + b"\0"),
        ("an array of 2^31 - 1", MetadataRequest, 4, pack(">i", 2**31 - 1) + b"\0"),
        ("a string too long", MetadataRequest, 4, pack(">ih", 1, 500) + b"a\0"),
        ("a null string", MetadataRequest, 4, pack(">ih", 1, -1) + b"\0"),
        ("a string that is not UTF-8", MetadataRequest, 4, pack(">ih", 1, 2) + b"\xff\xfe\0"),
        ("a varint too long", MetadataRequest, 9, b"\xff\xff\xff\xff\xff\xff"),
        ("a compact array too long", MetadataRequest, 9, b"\xff\xff\x03\0\0\0\0"),
        ("tags missing", MetadataRequest, 9, b"\0\0\0\0"),
        ("a tag cut", MetadataRequest, 9, b"\0\0\0\0\x01\x63\x05ab"),
        ("bytes left over", MetadataRequest, 4, pack(">i", 0) + b"\0extra"),
        ("bytes left over, flexible", MetadataRequest, 9, b"\x01\0\0\0\0extra"),
        ("an unknown tag", MetadataRequest, 9, b"\x01\0\0\0\x01\x63\x02ab"),
        ("a boolean of 7", MetadataRequest, 4, pack(">i", 0) + b"\x07"),
        ("records too long", ProduceRequest, 3, _produce_body(1000)),
        ("a fetch cut", FetchRequest, 4, pack(">iii", -1, 0, 0)),
        ("a create cut", CreateTopicsRequest, 4, pack(">ih", 1, 3) + b"abc"),
    ):
        # An array of -2 is null to Kafka: all topics.
        kafka.only_topics(*(["bad-bodies"] if title == "an array of -2" else []))
        kafka.send_body(title, request, version, body)
        kafka.send(f"after: {title}", nothing, 4)


def _produce_body(size: int) -> bytes:
    head = pack(">hhii", -1, -1, 1000, 1) + pack(">h", 10) + b"bad-bodies" + pack(">i", 1)
    return head + pack(">ii", 0, size) + b"x" * 5


def pipelined(kafka: Player) -> None:
    """Requests sent without waiting are answered in their order."""
    topic = "pipelined"
    kafka.setup_topic(topic)
    begun = [
        kafka.begin("first produce", produce(topic, batch("a")), 9),
        kafka.begin("its fetch", fetch(fetch_part(topic, 0), max_wait_ms=100), 11),
        kafka.begin("second produce", produce(topic, batch("b")), 9),
        kafka.begin("the start", list_offsets(topic, -2), 7),
        kafka.begin("a topic that is not there", metadata("pipelined-nowhere"), 9),
        kafka.begin("a fetch that waits", fetch(fetch_part(topic, 2), max_wait_ms=20), 11),
        kafka.begin("third produce", produce(topic, batch("c"), acks=1), 9),
    ]
    for pending in begun:
        kafka.finish(pending)


SCENARIOS = {
    "connections/api_versions": api_versions,
    "connections/describe_cluster": describe_cluster,
    "connections/unsupported_versions": unsupported_versions,
    "connections/unknown_keys": unknown_keys,
    "connections/bad_frames": bad_frames,
    "connections/odd_headers": odd_headers,
    "connections/bad_bodies": bad_bodies,
    "connections/pipelined": pipelined,
}
