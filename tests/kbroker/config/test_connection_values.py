"""Values about connections: hosts with a limit of their own, and where HTTP listens."""

import pytest

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.connection_values import parse_host_and_port, parse_overrides
from kbroker.config.table import ConfigError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("127.0.0.1:200", {"127.0.0.1": 200}),
        ("hostName:100, 127.0.0.1:200", {"hostName": 100, "127.0.0.1": 200}),
        ("[::1]:3,fe80::1:4", {"::1": 3, "fe80::1": 4}),
    ],
)
def test_overrides_are_hosts_with_numbers(text, found):
    assert parse_overrides(text) == found


@pytest.mark.parametrize("text", ["127.0.0.1", ":5", "host:", "host:-1", "host:many"])
def test_an_override_without_a_number_is_refused(text):
    with pytest.raises(ValueError, match="expected host:count"):
        parse_overrides(text)
    with pytest.raises(ConfigError, match="expected host:count"):
        BrokerConfig.parse({"max.connections.per.ip.overrides": text})


def test_nobody_may_connect_only_where_somebody_is_excepted():
    with pytest.raises(ConfigError, match="can be set to zero only if"):
        BrokerConfig.parse({"max.connections.per.ip": "0"}).check()
    overrides = {"max.connections.per.ip": "0", "max.connections.per.ip.overrides": "::1:5"}
    BrokerConfig.parse(overrides).check()


def test_an_address_to_listen_on():
    assert parse_host_and_port("0.0.0.0:9100") == ("0.0.0.0", 9100)
    assert parse_host_and_port("[::1]:0") == ("::1", 0)
    for text in ("9100", ":9100", "host:http", "host:65536"):
        with pytest.raises(ConfigError, match="expected HOST:PORT"):
            BrokerConfig.parse({"kbroker.http.listener": text})
