"""The metadata store of a cluster, and the ways to it: slow, cut, late, without a quorum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.faults.drawing import Fault

if TYPE_CHECKING:
    from simulator.faults.cluster_nemesis import ClusterNemesis
    from simulator.shared_store import Link

LONG_S = 25.0
"""Longer than any session of a broker."""


def cut_off(nemesis: ClusterNemesis, fault: Fault) -> None:
    """One broker does not reach it."""
    link = _link(nemesis, fault)
    link.requests_cut = link.answers_cut = True
    nemesis.later(0.5 + LONG_S * fault.strength, link.heal)


def cut_off_one_way(nemesis: ClusterNemesis, fault: Fault) -> None:
    """What one broker asks for is done, and it is told nothing; or the other way."""
    link = _link(nemesis, fault)
    if nemesis.chance_of(fault).random() < 0.7:
        link.answers_cut = True
    else:
        link.requests_cut = True
    nemesis.later(0.5 + LONG_S * fault.strength, link.heal)


def slow(nemesis: ClusterNemesis, fault: Fault) -> None:
    """Its answers and its news come late."""
    link = _link(nemesis, fault)
    link.latency_s = (0.01, 0.05 + 1.2 * fault.strength)
    link.watch_delay_s = (0.01, 0.05 + 8 * fault.strength)
    nemesis.later(1 + LONG_S * fault.strength, link.heal)


def answers_lost(nemesis: ClusterNemesis, fault: Fault) -> None:
    link = _link(nemesis, fault)
    link.lost = 0.2 + 0.6 * fault.strength
    _news_late(nemesis, fault, link)
    _lose_followers(nemesis, fault)
    nemesis.later(1 + LONG_S * fault.strength, link.heal)


def requests_late(nemesis: ClusterNemesis, fault: Fault) -> None:
    """Some take effect after their sender has given up."""
    link = _link(nemesis, fault)
    link.late = 0.2 + 0.6 * fault.strength
    _news_late(nemesis, fault, link)
    _lose_followers(nemesis, fault)
    nemesis.later(1 + LONG_S * fault.strength, link.heal)


def _news_late(nemesis: ClusterNemesis, fault: Fault, link: Link) -> None:
    """Half of the time: what took effect unseen is not seen by the watch soon either."""
    if nemesis.world.chance(f"news:{fault.number}").random() < 0.5:
        link.watch_delay_s = (0.1, 1 + 8 * fault.strength)


def _lose_followers(nemesis: ClusterNemesis, fault: Fault) -> None:
    """Half of the time: some broker is not fetched from for a while, so that there is something to
    ask the store for, and again when they are back."""
    chance = nemesis.world.chance(f"followers:{fault.number}")
    leader = nemesis.some_machine(nemesis.chance_of(fault))
    if chance.random() < 0.5:
        for machine in nemesis.world.machines.values():
            if machine is not leader and chance.random() < 0.7:
                nemesis.cut(machine.host, leader.host, chance.uniform(1, 15))


def refuses(nemesis: ClusterNemesis, fault: Fault) -> None:
    link = _link(nemesis, fault)
    link.refused = 0.3 + 0.7 * fault.strength
    nemesis.later(0.5 + 10 * fault.strength, link.heal)


def _link(nemesis: ClusterNemesis, fault: Fault) -> Link:
    return nemesis.links[nemesis.some_machine(nemesis.chance_of(fault)).node_id]


def without_quorum(nemesis: ClusterNemesis, fault: Fault) -> None:
    store = nemesis.world.store
    assert store is not None
    store.lose_quorum()
    nemesis.later(0.5 + LONG_S * fault.strength, store.regain_quorum)


def compacted(nemesis: ClusterNemesis, fault: Fault) -> None:
    """Who follows from far behind has to read everything."""
    assert nemesis.world.store is not None
    nemesis.world.store.compact_now()


def lease_expires(nemesis: ClusterNemesis, fault: Fault) -> None:
    """Of a broker that lives, and does not know it yet."""
    store = nemesis.world.store
    assert store is not None
    store.expire(nemesis.some_machine(nemesis.chance_of(fault)).process.name)
