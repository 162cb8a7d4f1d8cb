"""`listeners`, `advertised.listeners` and `listener.security.protocol.map`, parsed and checked.

The rules and most of the words are Kafka's (KIP-103). Deliberately different: a listener without an
advertised address advertises the address that the client reached, and a listener that
`controller.listener.names` names is skipped, because there is no controller listener here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from kbroker.config.table import ConfigError

SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SERVED_PROTOCOLS = ("PLAINTEXT",)
REPLICATION = "REPLICATION"
"""The listener for brokers alone, where `inter.broker.listener.name` names none."""
WILDCARDS = ("0.0.0.0", "::", "")

_ENDPOINT = re.compile(r"(?P<name>.*)://\[?(?P<host>[0-9a-zA-Z\-%._:]*)\]?:(?P<port>-?[0-9]+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Listener:
    """An address to listen on: `host` "" is every interface, `port` 0 is any free one."""

    name: str
    host: str
    port: int
    security_protocol: str


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """An address that clients are told; `port` 0 stands for the port that the listener got."""

    host: str
    port: int


@dataclasses.dataclass(frozen=True, slots=True)
class Listeners:
    """What to open, what to advertise, which listener brokers use, and the names not opened."""

    opened: tuple[Listener, ...]
    advertised: Mapping[str, Address]
    inter_broker_name: str
    skipped: tuple[str, ...]
    names_inter_broker: bool = False
    """Whether the configuration says which one brokers use."""

    def advertised_for(self, name: str) -> Address | None:
        """The address for clients of listener `name`; None: the address that the client reached."""
        return self.advertised.get(name)


def parse_listeners(
    *,
    listeners: Sequence[str],
    advertised: Sequence[str],
    protocol_map: str,
    inter_broker_name: str | None,
    controller_names: Sequence[str],
) -> Listeners:
    """The keys' values, checked one by one and against each other; ConfigError names the key."""
    protocols = _parse_protocol_map(protocol_map)
    controllers = {name.upper() for name in controller_names}
    found = [_parse_endpoint("listeners", text) for text in listeners]
    _check_distinct("listeners", found, ports_too=True)
    kept = [endpoint for endpoint in found if endpoint[0] not in controllers]
    if not kept:
        hint = "Perhaps all listeners appear in controller.listener.names?" if found else ""
        raise ConfigError("listeners", f"There must be at least one listener. {hint}".rstrip())
    opened = tuple(_with_protocol(endpoint, protocols) for endpoint in kept)
    names = [listener.name for listener in opened]
    addresses = _parse_advertised(advertised, names=names, controllers=controllers)
    return Listeners(
        opened=opened,
        advertised=addresses,
        inter_broker_name=_choose_inter_broker_name(inter_broker_name, names),
        skipped=tuple(name for name, _, _ in found if name in controllers),
        names_inter_broker=inter_broker_name is not None,
    )


def for_a_cluster(listeners: Listeners) -> Listeners:
    """The same with a listener that brokers alone use. ConfigError where there can be none, or
    where other brokers could not tell clients an address of this one.
    """
    for listener in listeners.opened:
        if listener.host in WILDCARDS and listener.name not in listeners.advertised:
            raise ConfigError(
                "advertised.listeners",
                f"In a cluster, listener {listener.name} on every interface needs an advertised"
                " address, which other brokers tell its clients",
            )
    if listeners.names_inter_broker:
        if len(listeners.opened) == 1:
            raise ConfigError(
                "inter.broker.listener.name",
                f"{listeners.inter_broker_name} is the only listener: what brokers alone may ask"
                " must not be open to clients. Add a listener, or leave this key out",
            )
        return listeners
    first = listeners.opened[0]
    if any(each.name == REPLICATION for each in listeners.opened):
        raise ConfigError(
            "inter.broker.listener.name", f"A listener named {REPLICATION} needs to be named here"
        )
    advertised = dict(listeners.advertised)
    if first.name in advertised:
        # Its port is the one that the system picks.
        advertised[REPLICATION] = Address(advertised[first.name].host, 0)
    return dataclasses.replace(
        listeners,
        opened=(*listeners.opened, Listener(REPLICATION, first.host, 0, "PLAINTEXT")),
        advertised=advertised,
        inter_broker_name=REPLICATION,
    )


def _parse_endpoint(key: str, text: str) -> tuple[str, str, int]:
    match = _ENDPOINT.fullmatch(text)
    if match is None or not match["name"]:
        raise ConfigError(key, f"Unable to parse {text} to a broker endpoint (NAME://HOST:PORT)")
    port = int(match["port"])
    if not 0 <= port <= 65_535:
        raise ConfigError(key, f"Port {port} of {text} is not between 0 and 65535")
    return match["name"].upper(), match["host"], port


def _parse_protocol_map(text: str) -> dict[str, str]:
    key = "listener.security.protocol.map"
    protocols: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, colon, protocol = (part.strip() for part in entry.rpartition(":"))
        if not colon or not name:
            raise ConfigError(key, f"Unable to parse {entry} to NAME:PROTOCOL")
        if protocol.upper() not in SECURITY_PROTOCOLS:
            raise ConfigError(key, f"Invalid security protocol {protocol} for listener {name}")
        if name.upper() in protocols:
            raise ConfigError(key, f"The map must not name listener {name} twice")
        protocols[name.upper()] = protocol.upper()
    return protocols


def _with_protocol(endpoint: tuple[str, str, int], protocols: Mapping[str, str]) -> Listener:
    name, host, port = endpoint
    if name not in protocols:
        raise ConfigError("listeners", f"No security protocol defined for listener {name}")
    if protocols[name] not in SERVED_PROTOCOLS:
        raise ConfigError(
            "listeners",
            f"Listener {name} uses {protocols[name]}, which is not served yet: only PLAINTEXT is",
        )
    return Listener(name, host, port, protocols[name])


def _check_distinct(
    key: str, endpoints: Sequence[tuple[str, str, int]], *, ports_too: bool
) -> None:
    names = [name for name, _, _ in endpoints]
    if len(set(names)) != len(names):
        raise ConfigError(key, f"Each listener must have a different name, {key}: {names}")
    by_port: dict[int, list[str]] = {}
    for _, host, port in endpoints:
        if ports_too and port != 0:
            by_port.setdefault(port, []).append(host)
    for port, hosts in by_port.items():
        # Kafka lets one IPv4 and one IPv6 address share a port (KAFKA-14478), nothing else.
        if len(hosts) > 1 and sorted(map(_ip_version, hosts)) != [4, 6]:
            raise ConfigError(
                key,
                f"Each listener must have a different port (port {port} is used twice), unless one"
                " has an IPv4 address and the other an IPv6 address",
            )


def _ip_version(host: str) -> int:
    if ":" in host:
        return 6
    return 4 if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host) else 0


def _parse_advertised(
    texts: Sequence[str], *, names: Sequence[str], controllers: set[str]
) -> dict[str, Address]:
    key = "advertised.listeners"
    endpoints = [_parse_endpoint(key, text) for text in texts]
    endpoints = [endpoint for endpoint in endpoints if endpoint[0] not in controllers]
    _check_distinct(key, endpoints, ports_too=False)
    addresses: dict[str, Address] = {}
    for name, host, port in endpoints:
        if name not in names:
            raise ConfigError(
                key,
                f"Listener names must be among those defined in listeners: found {name}, defined"
                f" are {','.join(names)}",
            )
        if host in WILDCARDS:
            raise ConfigError(
                key, f"cannot use the nonroutable meta-address {host or '(empty)'} of {name}"
            )
        addresses[name] = Address(host, port)
    return addresses


def _choose_inter_broker_name(given: str | None, names: Sequence[str]) -> str:
    if given is None:
        return "PLAINTEXT" if "PLAINTEXT" in names else names[0]
    if given.upper() not in names:
        raise ConfigError(
            "inter.broker.listener.name",
            f"{given} is not a listener's name; defined are {','.join(names)}",
        )
    return given.upper()
