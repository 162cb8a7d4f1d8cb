"""The rows of the table of APIs."""

from __future__ import annotations

import pytest

from kbroker.handlers import HANDLERS
from wire.api_key import ApiKey
from wire.messages import MESSAGES


@pytest.mark.parametrize("key", sorted(HANDLERS))
def test_a_row_serves_its_own_api_in_versions_that_its_messages_have(key: ApiKey) -> None:
    row = HANDLERS[key]
    request, response = MESSAGES[key]
    assert row.request is request
    assert key == row.request.API_KEY
    for messages in (request, response):
        assert row.versions.start >= messages.VERSIONS.start
        assert row.versions.stop <= messages.VERSIONS.stop


@pytest.mark.parametrize("key", sorted(HANDLERS))
def test_what_is_advertised_ends_where_what_is_served_does(key: ApiKey) -> None:
    row = HANDLERS[key]
    assert row.advertised.stop == row.versions.stop
    if key != ApiKey.PRODUCE:
        assert row.advertised == row.versions


def test_produce_is_advertised_from_version_0_for_old_librdkafka() -> None:
    assert HANDLERS[ApiKey.PRODUCE].advertised.start == 0
    assert HANDLERS[ApiKey.PRODUCE].versions.start == 3
