"""Request headers: both versions, unknown keys and versions, and cut ones."""

import kafka.protocol.api_header
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.api_key import FIRST_FLEXIBLE_VERSION, ApiKey
from wire.errors import WireError
from wire.header import RequestHeader, read_request_header

KEYS = st.sampled_from(sorted(ApiKey))
INT32 = st.integers(-(2**31), 2**31 - 1)
CLIENT_IDS = st.none() | st.text(max_size=20)


@given(key=KEYS, version=st.integers(0, 20), correlation_id=INT32, client_id=CLIENT_IDS)
def test_headers_of_kafka_python_are_read(key, version, correlation_id, client_id):
    flexible = version >= FIRST_FLEXIBLE_VERSION.get(key, 1 << 15)
    header = kafka.protocol.api_header.RequestHeader(
        request_api_key=int(key),
        request_api_version=version,
        correlation_id=correlation_id,
        client_id=client_id,
    ).encode(flexible=flexible)
    expected = RequestHeader(key, version, correlation_id, client_id, len(header))
    assert read_request_header(header + b"body") == expected
    for cut in range(len(header)):
        with pytest.raises(WireError):
            read_request_header(memoryview(header[:cut]))


def test_tagged_fields_of_a_header_are_skipped():
    frame = bytes.fromhex("0012 0003 00000007 0003 616263 01 05 02 ffff 99".replace(" ", ""))
    assert read_request_header(frame) == RequestHeader(18, 3, 7, "abc", len(frame) - 1)


@pytest.mark.parametrize(("key", "version"), [(18, 4), (18, 99), (3, 14), (0, 32767)])
def test_newer_versions_than_known_have_flexible_headers(key, version):
    head = key.to_bytes(2, "big") + version.to_bytes(2, "big") + bytes(4) + b"\xff\xff"
    assert read_request_header(head + b"\0rest").body_position == 11


@pytest.mark.parametrize(("key", "version"), [(1000, 0), (-1, 5), (4, 7), (3, -1)])
def test_unknown_keys_and_versions_have_plain_headers(key, version):
    head = key.to_bytes(2, "big", signed=True) + version.to_bytes(2, "big", signed=True)
    header = read_request_header(head + bytes(4) + b"\0\1xrest")
    assert header == RequestHeader(key, version, 0, "x", 11)


@pytest.mark.parametrize(
    "tail", ["ffff 01", "ffff ffffffffff01", "ffff 0105ff02", "0002 c328 00", "7fff 00"]
)
def test_malformed_headers_are_refused(tail):
    with pytest.raises(WireError):
        read_request_header(bytes.fromhex("0012 0003 00000007" + tail))
