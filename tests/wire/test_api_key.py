"""API keys, and the versions from which they are flexible, are Kafka's."""

import pytest
from kio.schema.index import api_key_map

from wire.api_key import FIRST_FLEXIBLE_VERSION, ApiKey
from wire.messages import MESSAGES


def test_keys_and_names_are_those_of_kio():
    ours = {int(key): key.name.lower() for key in ApiKey}
    assert {key: ours[key] for key in api_key_map} == {
        key: name.removesuffix("_request") for key, name in api_key_map.items()
    }


@pytest.mark.parametrize("key", MESSAGES, ids=lambda key: key.name)
def test_messages_agree_with_the_keys(key):
    request, response = MESSAGES[key]
    assert request.API_KEY == response.API_KEY == key
    assert request.VERSIONS == response.VERSIONS
    assert request.FLEXIBLE == response.FLEXIBLE
    if request.FLEXIBLE:
        assert request.FLEXIBLE.start == FIRST_FLEXIBLE_VERSION[key]
    else:
        assert key not in FIRST_FLEXIBLE_VERSION
