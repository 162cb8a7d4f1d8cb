"""Who may connect: in all, from one address, and where a host has a limit of its own."""

from __future__ import annotations

import asyncio

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.running_config import RunningConfig
from kbroker.connection_quotas import PER_IP, SYSTEM, TOTAL, ConnectionQuotas


class Names:
    """What a loop looks up. Mutable."""

    def __init__(self, **found: str) -> None:
        self.found = found

    async def getaddrinfo(self, host: str, port: None) -> list:
        address = self.found.get(host, host)
        if not address:
            raise OSError(-2, "Name or service not known")
        return [(0, 0, 0, "", (address, 0))]


def quotas(*, system_limit: int = 1000, names: Names | None = None, **keys: str) -> tuple:
    settings = {key.replace("_", "."): text for key, text in keys.items()}
    running_config = RunningConfig(BrokerConfig.parse(settings))
    found = ConnectionQuotas(lambda: running_config.now, system_limit=system_limit)
    asyncio.run(found.resolve(names or Names()))  # type: ignore[arg-type]
    return found, running_config


def test_a_place_that_is_given_up_is_free_again() -> None:
    found, _ = quotas(max_connections="2")
    assert found.admit("10.0.0.1")
    assert found.admit("10.0.0.2")
    assert not found.admit("10.0.0.3")
    found.release("10.0.0.1")
    assert found.admit("10.0.0.3")
    assert found.rejected_counts == {TOTAL: 1, PER_IP: 0, SYSTEM: 0}
    assert found.accepted_count == 3


def test_the_open_files_of_the_process_limit_too() -> None:
    found, _ = quotas(system_limit=1)
    assert found.admit("10.0.0.1")
    assert not found.admit("10.0.0.1")
    assert found.rejected_counts[SYSTEM] == 1


def test_one_address_may_not_take_the_place_of_all() -> None:
    found, _ = quotas(max_connections_per_ip="1")
    assert found.admit("10.0.0.1")
    assert not found.admit("10.0.0.1")
    assert not found.admit("::ffff:10.0.0.1"), "the same address over IPv6"
    assert found.admit("10.0.0.2")
    assert found.rejected_counts[PER_IP] == 2


def test_an_override_holds_for_its_host_by_address_or_name() -> None:
    names = Names(trusted="10.0.0.7", gone="")
    found, _ = quotas(
        names=names,
        max_connections_per_ip="0",
        max_connections_per_ip_overrides="10.0.0.1:1,trusted:2,gone:5",
    )
    assert [found.admit(host) for host in ("10.0.0.1", "10.0.0.1")] == [True, False]
    assert [found.admit("10.0.0.7") for _ in range(3)] == [True, True, False]
    assert not found.admit("10.0.0.2")


def test_limits_change_while_the_broker_runs() -> None:
    found, running_config = quotas(max_connections="1")
    assert found.admit("10.0.0.1")
    overrides = "10.0.0.2:0,barred:0,10.0.0.4:1"
    changed = {"max.connections": "3", "max.connections.per.ip.overrides": overrides}
    running_config.take(every_broker=changed, this_broker={})
    assert not found.admit("10.0.0.2"), "at once"
    assert found.admit("10.0.0.3"), "until its name is looked up"
    names = Names(barred="10.0.0.3", **{"10.0.0.4": "10.0.0.5"})
    asyncio.run(found.resolve(names))  # type: ignore[arg-type]
    assert not found.admit("10.0.0.3")
    assert found.admit("10.0.0.4")
    found.release("10.0.0.4")
    running_config.take(every_broker={"max.connections": "3"}, this_broker={})
    assert found.admit("10.0.0.3")
