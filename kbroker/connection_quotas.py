"""How many connections there may be: in all, and from each address (KIP-308's neighbours).

`max.connections.per.ip` and its overrides work as Apache Kafka's: one more from an address is
closed as soon as it is accepted. `max.connections` closes too, where Kafka leaves newcomers
waiting to be accepted: a client learns at once that there is no room.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Mapping

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.connection_values import parse_overrides

logger = logging.getLogger(__name__)

TOTAL = "max.connections"
PER_IP = "max.connections.per.ip"
SYSTEM = "open files"
"""The names of the limits, as they are counted."""


class ConnectionQuotas:
    """Counts the connections by address. Mutable. `config` gives what holds now; `system_limit` is
    what the open files of the process leave for clients."""

    def __init__(self, config: Callable[[], BrokerConfig], *, system_limit: int) -> None:
        self.total = 0
        self.accepted_count = 0
        self.rejected_counts = {TOTAL: 0, PER_IP: 0, SYSTEM: 0}
        self._config = config
        self._system_limit = system_limit
        self._by_address: dict[str, int] = {}
        self._overrides: dict[str, int] = {}
        self._overrides_text = ""
        self._names: Mapping[str, int] = {}  # of the overrides, not looked up yet

    def admit(self, host: str) -> bool:
        """Whether one more connection from `host` may stay; if so, `release` ends it."""
        config = self._config()
        self._follow(config.max_connections_per_ip_overrides)
        address = _address(host)
        count = self._by_address.get(address, 0)
        most = self._overrides.get(address, config.max_connections_per_ip)
        if self.total >= config.max_connections:
            limit, number = TOTAL, config.max_connections
        elif self.total >= self._system_limit:
            limit, number = SYSTEM, self._system_limit
        elif count >= most:
            limit, number = PER_IP, most
        else:
            self._by_address[address] = count + 1
            self.total += 1
            self.accepted_count += 1
            return True
        self.rejected_counts[limit] += 1
        logger.warning(
            "refused a connection from %s: it would pass %s=%d",
            address,
            limit,
            number,
            extra={"address": address, "limit": limit},
        )
        return False

    def release(self, host: str) -> None:
        """A connection that was admitted has ended."""
        address = _address(host)
        left = self._by_address[address] - 1
        self.total -= 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]

    async def resolve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look up the names in `max.connections.per.ip.overrides`, where that has changed; what is
        set for an address counts at once, and first. A name that cannot be found is told, and has
        no effect.
        """
        self._follow(self._config().max_connections_per_ip_overrides)
        names, self._names = self._names, {}
        overrides = self._overrides
        for host, most in names.items():
            try:
                addresses = await loop.getaddrinfo(host, None)
            except OSError as error:
                logger.warning("max.connections.per.ip.overrides: %s: %s", host, error)
                continue
            for *_, address in addresses:
                overrides.setdefault(_address(str(address[0])), most)

    def _follow(self, text: str) -> None:
        if text == self._overrides_text:
            return
        self._overrides_text = text
        found = parse_overrides(text)
        self._names = {host: most for host, most in found.items() if not _is_address(host)}
        self._overrides = {
            _address(host): most for host, most in found.items() if host not in self._names
        }


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _address(host: str) -> str:
    """One text for one address; IPv4 as such also where it came in over IPv6."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host  # no address: a transport without one
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
