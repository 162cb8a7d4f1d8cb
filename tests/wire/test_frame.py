"""Frames: lengths, correlation ids, and which header stands in front of which version."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.message_strategies import message_settings, title, top_level
from wire.api_key import ApiKey
from wire.compiler import decode, encode
from wire.errors import WireError
from wire.frame import read_correlation_id, read_response, request_frame, response_frame
from wire.header import read_request_header
from wire.messages import MESSAGES
from wire.messages.api_versions import ApiVersion, ApiVersionsResponse
from wire.messages.fetch import FetchableTopicResponse, FetchResponse, PartitionData
from wire.messages.metadata import MetadataRequest

PAIRS = list(MESSAGES.values())
frame_settings = settings(message_settings, max_examples=10)


def whole(parts: list) -> bytes:
    """The frame after its length, which must be right."""
    assert type(parts[0]) is bytes
    sent = b"".join(parts)
    assert int.from_bytes(sent[:4], "big") == len(sent) - 4
    return sent[4:]


@pytest.mark.parametrize("request_class", [request for request, _ in PAIRS], ids=title)
@given(data=st.data())
@frame_settings
def test_requests(request_class, data):
    version = data.draw(st.sampled_from(list(request_class.VERSIONS)))
    request = data.draw(top_level(request_class, version))
    client_id = data.draw(st.none() | st.text(max_size=10))
    frame = whole(request_frame(request, version, 77, client_id))
    header = read_request_header(frame)
    assert header[:4] == (request_class.API_KEY, version, 77, client_id)
    assert decode(request_class, version, frame, header.body_position) == (request, len(frame))


@pytest.mark.parametrize("response_class", [response for _, response in PAIRS], ids=title)
@given(data=st.data())
@frame_settings
def test_responses(response_class, data):
    version = data.draw(st.sampled_from(list(response_class.VERSIONS)))
    response = data.draw(top_level(response_class, version))
    frame = whole(response_frame(response, version, -5))
    assert read_correlation_id(frame) == -5
    assert read_response(response_class, version, frame) == (-5, response)
    body = b"".join(encode(response, version))
    has_tags = version in response_class.FLEXIBLE and response_class.API_KEY != ApiKey.API_VERSIONS
    assert frame[4:] == (b"\0" if has_tags else b"") + body


@pytest.mark.parametrize("version", ApiVersionsResponse.VERSIONS)
def test_the_header_of_an_api_versions_response_never_has_tags(version):
    """KIP-511: the client cannot know yet which header the broker speaks."""
    response = ApiVersionsResponse(
        error_code=35, api_keys=[ApiVersion(api_key=18, min_version=0, max_version=4)]
    )
    frame = whole(response_frame(response, version, 1))
    assert frame[:6] == b"\0\0\0\1\0\x23"
    if version == 0:
        # The answer to a version too new, which every client can read.
        assert frame == bytes.fromhex("00000001 0023 00000001 0012 0000 0004")


def test_a_fetched_batch_is_a_part_of_its_own():
    batch = memoryview(b"batch of records")
    partition = PartitionData(
        partition_index=0,
        error_code=0,
        high_watermark=1,
        aborted_transactions=None,
        records=batch,
    )
    response = FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[partition])])
    parts = response_frame(response, 11, 1)
    assert parts[1] is batch
    assert len(parts) == 2
    parts = response_frame(response, 12, 1)
    assert parts[1] is batch
    assert len(parts) == 3
    whole(parts)


@pytest.mark.parametrize(
    "frame", [b"", b"\0\0\0", b"\0\0\0\1", b"\0\0\0\1\1\1", b"\0\0\0\1\0\0"], ids=bytes.hex
)
def test_cut_responses_are_refused(frame):
    with pytest.raises(WireError):
        read_response(FetchResponse, 12, frame)


def test_bytes_left_over_are_refused_in_a_response():
    frame = whole(response_frame(FetchResponse(responses=[]), 12, 1))
    with pytest.raises(WireError, match="1 bytes follow"):
        read_response(FetchResponse, 12, frame + b"\0")


def test_a_request_without_a_client_id():
    frame = whole(request_frame(MetadataRequest(topics=None), 1, 2, None))
    assert frame == bytes.fromhex("0003 0001 00000002 ffff ffffffff")
