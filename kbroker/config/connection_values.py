"""Values of the keys about connections that have a form of their own.

`max.connections.per.ip.overrides` is hosts with numbers; `kbroker.http.listener` is HOST:PORT.
"""

from __future__ import annotations

from collections.abc import Mapping

from kbroker.config.table import ConfigValue, Validator

LAST_PORT = 65535


def parse_overrides(text: str) -> Mapping[str, int]:
    """Connections by host, of `host:count,host:count`; ValueError where it is none."""
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        host, colon, count = entry.rpartition(":")
        host = host.strip().removeprefix("[").removesuffix("]")
        if not colon or not host or not count.strip().isdigit():
            raise ValueError(f"expected host:count, not {entry}")
        found[host] = int(count)
    return found


def _refusal(value: ConfigValue) -> str | None:
    try:
        parse_overrides(str(value))
    except ValueError as error:
        return str(error)
    return None


OVERRIDES = Validator("host:count, ...", _refusal)


def parse_host_and_port(text: str) -> tuple[str, int]:
    """The two parts of `HOST:PORT`, `[::1]:PORT` too; ValueError where it is none."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdigit() and int(port) <= LAST_PORT):
        raise ValueError("expected HOST:PORT")
    return host, int(port)


def _no_address(value: ConfigValue) -> str | None:
    try:
        parse_host_and_port(str(value))
    except ValueError as error:
        return str(error)
    return None


HOST_AND_PORT = Validator("HOST:PORT", _no_address)
