"""A message cannot make the decoder take more than a small multiple of its own size."""

import tracemalloc

import pytest

from wire.compiler import decode
from wire.errors import WireError
from wire.messages.api_versions import ApiVersionsRequest
from wire.messages.create_partitions import CreatePartitionsRequest
from wire.messages.fetch import FetchResponse
from wire.messages.list_config_resources import ListConfigResourcesRequest
from wire.messages.metadata import MetadataRequest, MetadataResponse
from wire.messages.produce import ProduceRequest, ProduceResponse
from wire.primitives import MAX_ELEMENTS, encode_unsigned_varint

SIZE = 1 << 16

# The smallest assignment of a CreatePartitions request makes an object and a list of two bytes:
# about 57 bytes of memory for each byte received (the smallest topic of a Produce request: 43).
# Nothing is worse, and MAX_ELEMENTS limits the whole.
MULTIPLE = 65
SLACK_BYTES = 65536


def compact(prefix: bytes, item: bytes) -> bytes:
    """A compact array that fills SIZE bytes with `item`."""
    count = SIZE // len(item)
    return prefix + encode_unsigned_varint(count + 1) + item * count


def with_tags(tags: list[bytes]) -> bytes:
    """An ApiVersions request of two empty strings and `tags`."""
    return b"\1\1" + encode_unsigned_varint(len(tags)) + b"".join(tags)


ACCEPTED = {
    "empty topics": (ProduceRequest, 9, compact(bytes(7), b"\1\1\0") + b"\0"),
    "empty outcomes": (ProduceResponse, 9, compact(b"", b"\1\1\0") + bytes(5)),
    "empty names": (MetadataRequest, 1, (SIZE // 2).to_bytes(4, "big") + bytes(SIZE)),
    "empty assignments": (
        CreatePartitionsRequest,
        2,
        b"\2\1" + bytes(4) + compact(b"", b"\1\0") + bytes(7),
    ),
    "types": (ListConfigResourcesRequest, 1, compact(b"", b"\x80") + b"\0"),
    "topics by id": (MetadataRequest, 13, compact(b"", bytes(18)) + bytes(3)),
    "one tag repeated": (ApiVersionsRequest, 3, with_tags([b"\5\0"] * (SIZE // 2))),
    "distinct tags": (
        ApiVersionsRequest,
        3,
        with_tags([encode_unsigned_varint(tag) + b"\0" for tag in range(SIZE // 4)]),
    ),
}

REFUSED = {
    "array a little longer than its bytes": (
        MetadataRequest,
        1,
        (SIZE // 2 + 1).to_bytes(4, "big") + bytes(SIZE),
    ),
    "array longer than its bytes": (MetadataRequest, 1, b"\x7f\xff\xff\xff" + bytes(SIZE)),
    "compact array of 4 Gi": (MetadataRequest, 9, b"\xff\xff\xff\xff\x0f" + bytes(SIZE)),
    "string longer than its bytes": (MetadataRequest, 1, b"\0\0\0\1\x7f\xff" + bytes(100)),
    "replica list longer than its bytes": (
        MetadataResponse,
        0,
        bytes(7) + b"\1\0\0\0\1t\0\0\0\1" + bytes(10) + b"\x7f\xff\xff\xff" + bytes(SIZE),
    ),
    "types longer than their bytes": (
        ListConfigResourcesRequest,
        1,
        b"\xff\xff\xff\xff\x07" + bytes(SIZE),
    ),
    "records longer than their bytes": (
        FetchResponse,
        4,
        bytes(7) + b"\1\0\0\0\0\0\1" + bytes(22) + b"\0\0\0\0\x7f\xff\xff\xff" + bytes(SIZE),
    ),
    "tag longer than its bytes": (
        ApiVersionsRequest,
        3,
        b"\1\1\1\0\xff\xff\xff\xff\x07" + bytes(SIZE),
    ),
}


def peak_bytes(cls, version: int, data: bytes) -> tuple[int, bool]:
    """The most memory that decoding took, and whether the message was accepted."""
    with pytest.raises(WireError):
        decode(cls, version, b"")  # compiles it beforehand
    accepted = True
    tracemalloc.start()
    try:
        result = decode(cls, version, data)
        assert result[1] == len(data)
    except WireError:
        accepted = False
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak, accepted


@pytest.mark.parametrize(("cls", "version", "data"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_many_tiny_elements_take_a_small_multiple(cls, version, data):
    peak, accepted = peak_bytes(cls, version, data)
    assert accepted
    assert peak < MULTIPLE * len(data) + SLACK_BYTES


@pytest.mark.parametrize(("cls", "version", "data"), REFUSED.values(), ids=REFUSED.keys())
def test_a_length_beyond_the_bytes_allocates_nothing(cls, version, data):
    peak, accepted = peak_bytes(cls, version, data)
    assert not accepted
    assert peak < len(data) + SLACK_BYTES


def test_a_message_has_a_limited_number_of_elements():
    count = MAX_ELEMENTS + 1
    names = count.to_bytes(4, "big") + bytes(2 * count)
    with pytest.raises(WireError, match="topics"):
        decode(MetadataRequest, 1, names)
    types = encode_unsigned_varint(count + 1) + bytes(count)
    with pytest.raises(WireError, match="resource_types"):
        decode(ListConfigResourcesRequest, 1, types + b"\0")
    tags = b"\1\1" + encode_unsigned_varint(count) + bytes(2 * count)
    with pytest.raises(WireError, match="tagged fields"):
        decode(ApiVersionsRequest, 3, tags)
