"""After all is healed: what is there, and whether it is what clients were told.

Counterpart: `replicas`, where brokers have stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tests.chaos.replicas import AnomalyError, refuse
from tests.chaos.site import HEAL_S, Site
from tests.chaos.view import UNREACHED, asking, coordinator_of
from tests.soak import confluent_load
from tests.soak.scene import GROUPS, PARTITIONS, TOPIC

Answer = TypeVar("Answer")


def wait_for_groups(site: Site) -> None:
    """Until each group has committed the end of every partition. AnomalyError."""
    behind: dict[tuple[str, int], object] = {}

    def all_there() -> bool:
        behind.clear()
        try:
            for index, end in ends(site).items():
                for group in GROUPS:
                    committed = committed_offset(site, group, index)
                    if committed != end:
                        behind[group, index] = (committed, end)
        except UNREACHED as error:
            behind["", 0] = error
        return not behind

    if not site.wait_until(all_there, HEAL_S):
        raise AnomalyError(f"{HEAL_S} s after the last fault groups are behind: {behind}")


def ends(site: Site) -> dict[int, int]:
    """High watermarks by partition, told by the leaders."""
    view = site.view()
    found = {}
    for index in range(PARTITIONS):
        with asking(view.brokers[view.leaders[TOPIC, index]]) as client:
            data = client.fetch(TOPIC, index, 0)
        assert data.error_code == 0, data.error_code
        found[index] = data.high_watermark
    return found


def committed_offset(site: Site, group: str, index: int) -> int:
    address = coordinator_of(group, [each.address for each in site.machines])
    with asking(address) as client:
        return client.committed_offset(group, TOPIC, index)


def judge(site: Site) -> None:
    """Final reads, commits as they are, and the history. AnomalyError."""
    scene = site.scene
    found = confluent_load.read_whole(scene, HEAL_S)
    commits = scene.history.commits
    for index in range(PARTITIONS):
        if found[index] != answer(site, partial(read_all, site, index)):
            raise AnomalyError(f"two clients read {TOPIC}-{index} otherwise")
        scene.history.read_whole((TOPIC, index), found[index])
        for group in GROUPS:
            fetch = commits.fetching(group, (TOPIC, index))
            offset = answer(site, partial(committed_offset, site, group, index))
            commits.fetched(fetch, None if offset < 0 else offset)
    scene.counts["records at the end"] = sum(map(len, found.values()))
    refuse(scene.anomalies())


def read_all(site: Site, index: int) -> list[tuple[int, bytes]]:
    """UNREACHED, also where the leader is another one by now."""
    view = site.view()
    with asking(view.brokers[view.leaders[TOPIC, index]]) as client:
        return client.read_all(TOPIC, index)


def answer(site: Site, ask: Callable[[], Answer]) -> Answer:
    """Leaders are moved to preferred replicas at any time: ask until somebody answers."""
    found: list[Answer] = []
    failed: list[Exception] = []

    def try_it() -> bool:
        try:
            found.append(ask())
        except UNREACHED as error:
            failed.append(error)
        return bool(found)

    if not site.wait_until(try_it, HEAL_S):
        raise AnomalyError(f"no answer in {HEAL_S} s: {failed[-1]!r}")
    return found[0]
