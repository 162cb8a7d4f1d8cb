"""The situations of clusters, by the records and partitions that show them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbroker.cluster.metadata_records import NO_LEADER, PartitionRecord
from simulator.plan import Plan
from simulator.probes_cluster import changes_of
from simulator.run import run
from simulator.situations import CLUSTER

RECORD = PartitionRecord(
    replicas=(1, 2, 3), leader=1, leader_epoch=4, isr=(1, 2), min_isr=2, partition_epoch=7
)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"isr": (1, 2, 3)}, ["ISR grown by its leader"]),
        (
            {"isr": (1,), "elr": (2,)},
            [
                "ISR shrunk by its leader",
                "ISR below its minimum",
                "broker eligible outside the ISR",
            ],
        ),
        ({}, ["ISR asked for once more"]),
        ({"leader": 2, "leader_epoch": 5}, ["leader elected from the ISR"]),
        ({"leader": 3, "leader_epoch": 5}, ["leader elected from the ELR"]),
        ({"leader": NO_LEADER, "leader_epoch": 5}, ["partition without a leader"]),
        ({"leader_epoch": 5}, ["leader elected again"]),
    ],
)
def test_what_became_of_a_partition(change: dict[str, object], names: list[str]) -> None:
    former = replace(RECORD, elr=(3,)) if change.get("leader") == 3 else RECORD
    record = replace(former, partition_epoch=8, **change)  # type: ignore[arg-type]
    assert list(changes_of(former, record, leader_lives=False)) == names
    assert set(names) <= CLUSTER.keys()


def test_a_leader_that_lives_gives_it_away() -> None:
    moved = replace(RECORD, leader=2, leader_epoch=5, partition_epoch=8)
    assert list(changes_of(RECORD, moved, leader_lives=True)) == [
        "leadership moved while its leader lived"
    ]


def test_a_run_reaches_some() -> None:
    plan = Plan.draw(3, (("safety_s", "12"), ("bursts", "12")), is_cluster=True)
    report = run(plan)
    assert report.failure is None, report.failure
    assert len(CLUSTER) >= 20
    assert CLUSTER.keys() & report.situations.keys()
