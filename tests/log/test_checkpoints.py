"""The text files byte for byte as Kafka 4.3.1 left them, and what is said of damaged ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log.checkpoints import (
    CheckpointError,
    MetaProperties,
    decode_clean_shutdown,
    decode_epochs,
    decode_meta_properties,
    decode_offsets,
    decode_partition_metadata,
    decode_uuid,
    encode_clean_shutdown,
    encode_epochs,
    encode_meta_properties,
    encode_offsets,
    encode_partition_metadata,
    encode_uuid,
)

TOPICS = st.text("abcXYZ019._-", min_size=1, max_size=12)
IDS = st.binary(min_size=16, max_size=16)
KAFKA_META = """#
#Sun Nov 22 16:40:09 UTC 2026
node.id=1
directory.id=qBWZQNDvDkfSO-1spjQIBA
version=1
cluster.id=kbrokerOracle000000000
"""
TOPIC_ID = decode_uuid("sisj92kCTE2dpbc1gDvJww", "")


@given(st.dictionaries(st.tuples(TOPICS, st.integers(0, 9999)), st.integers(0, 2**63 - 1)))
def test_offsets_round_trip(offsets: dict[tuple[str, int], int]) -> None:
    data = encode_offsets(offsets)
    assert decode_offsets(data, "f") == offsets
    assert data == encode_offsets(dict(reversed(offsets.items()))), "the order is not chance"


def test_offsets_as_kafka_writes_them() -> None:
    assert encode_offsets({("idem", 0): 30, ("a", 2): 5}) == b"0\n2\na 2 5\nidem 0 30\n"
    assert encode_offsets({}) == b"0\n0\n"
    assert decode_offsets(b"", "f") == {}, "Kafka makes the file empty before it first writes it"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"1\n0\n", "version 1 is unknown"),
        (b"x\n0\n", "'x' is not a number"),
        (b"0\n", "0 entries, where -1"),
        (b"0\n2\na 0 1\n", "1 entries, where 2"),
        (b"0\n1\na 0\n", "expected 'topic partition offset', found 'a 0'"),
        (b"0\n1\na 0 z\n", "'z' is not a number"),
        (b"0\n1\na 0 -1\n", "negative"),
        (b"0\n1\na 0 1", "its last line is cut"),
        (b"\xff\xfe", "not UTF-8"),
        (bytes(20), "is not a number"),
    ],
)
def test_damaged_offsets_are_named(data: bytes, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=complaint) as caught:
        decode_offsets(data, "/data/some-checkpoint")
    assert str(caught.value).startswith("/data/some-checkpoint: ")
    assert "\n" not in str(caught.value)


@given(st.dictionaries(st.integers(0, 2**31 - 1), st.integers(0, 2**62), max_size=5))
def test_epochs_round_trip(pairs: dict[int, int]) -> None:
    entries = list(zip(sorted(pairs), sorted(set(pairs.values())), strict=False))
    assert decode_epochs(encode_epochs(entries), "f") == entries


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"0\n1\n1\n", "expected 'epoch start_offset'"),
        (b"0\n2\n1 5\n1 9\n", "'1 9' does not ascend"),
        (b"0\n2\n1 5\n2 5\n", "'2 5' does not ascend"),
        (b"0\n1\n-1 0\n", "does not ascend"),
    ],
)
def test_damaged_epochs_are_named(data: bytes, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=complaint):
        decode_epochs(data, "f")


def test_partition_metadata_as_kafka_writes_it() -> None:
    data = b"version: 0\ntopic_id: sisj92kCTE2dpbc1gDvJww"
    assert encode_partition_metadata(TOPIC_ID) == data
    assert decode_partition_metadata(data, "f") == TOPIC_ID


@pytest.mark.parametrize(
    "data",
    [b"", b"version: 1\ntopic_id: sisj92kCTE2dpbc1gDvJww", b"version: 0\ntopic_id: short", b"\xff"],
)
def test_damaged_partition_metadata(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="f: "):
        decode_partition_metadata(data, "f")


@given(IDS)
def test_ids_round_trip(value: bytes) -> None:
    text = encode_uuid(value)
    assert len(text) == 22
    assert decode_uuid(text, "f") == value
    assert decode_uuid(text + "==", "f") == value


@pytest.mark.parametrize("text", ["", "a", "!" * 22, "A" * 21, "A" * 30, "sisj92kCTE2dpbc1gDvJw/"])
def test_other_texts_are_no_ids(text: str) -> None:
    with pytest.raises(CheckpointError):
        decode_uuid(text, "f")


def test_meta_properties_of_kafka_are_read() -> None:
    meta = decode_meta_properties(KAFKA_META.encode(), "f")
    assert (meta.cluster_id, meta.node_id) == ("kbrokerOracle000000000", 1)
    assert encode_uuid(meta.directory_id) == "qBWZQNDvDkfSO-1spjQIBA"


@given(st.text("abc-_=:#! \\", max_size=8).map(str.rstrip), st.integers(0, 2**31 - 1), IDS)
def test_meta_properties_round_trip(cluster: str, node_id: int, directory_id: bytes) -> None:
    meta = MetaProperties(cluster, node_id, directory_id, {"broker.note": "kept"})
    assert decode_meta_properties(encode_meta_properties(meta), "f") == meta


@pytest.mark.parametrize(
    ("line", "replacement", "complaint"),
    [
        ("version=1", "version=7", "version '7' is unknown"),
        ("version=1", "", "version '' is unknown"),
        ("node.id=1", "", "node.id is missing"),
        ("node.id=1", "node.id=one", "'one' is not a number"),
        ("node.id=1", "nonsense", "expected key=value, found 'nonsense'"),
        ("directory.id=qBWZQ", "directory.id=q", "is not an id"),
    ],
)
def test_damaged_meta_properties(line: str, replacement: str, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=complaint):
        decode_meta_properties(KAFKA_META.replace(line, replacement).encode(), "f")


def test_the_clean_shutdown_file() -> None:
    assert encode_clean_shutdown() == b'{"version":0,"brokerEpoch":-1}'
    assert decode_clean_shutdown(b'{"version":0,"brokerEpoch":12}') == 12
    for odd in (b"", b"[]", b"{}", b'{"version":1,"brokerEpoch":3}', b"[" * 100_000, b"\xff"):
        assert decode_clean_shutdown(odd) == -1
