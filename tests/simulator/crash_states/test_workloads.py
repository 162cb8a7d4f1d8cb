"""Each workload reaches what it is there for, and a few of its crash states recover."""

from __future__ import annotations

import pytest

from simulator.crash_states.enumeration import enumerate_states, record
from simulator.crash_states.workloads import WORKLOADS

REACHED = {
    "flush_rounds": "truncate data/.kbroker_flushed_ends",
    "rolls": ".snapshot.tmp",
    "checkpoints": "flush data/recovery-point-offset-checkpoint.tmp",
    "transactions": ".txnindex",
    "retention": "remove data/a-0/00000000000000000000.log.deleted",
    "deletions": "rename data/log-start-offset-checkpoint.tmp",
    "truncations": "truncate data/a-0",
    "topics": "-delete",
    "epochs": "leader-epoch-checkpoint",
    "commits": "flush data/__consumer_offsets-0",
    "stops": "remove data/.kafka_cleanshutdown",
    "recoveries": ".aside",
}


@pytest.mark.parametrize("workload", sorted(WORKLOADS))
def test_a_few_states_of_each_recover(workload: str) -> None:
    tally = enumerate_states(
        60, seed=0, workloads=[workload], progress=lambda tally: None, max_failures=1
    )
    assert tally.failures == []


@pytest.mark.parametrize("workload", sorted(REACHED))
def test_what_it_is_there_for_is_reached(workload: str) -> None:
    operations = [moment.operation for seed in range(6) for moment in record(workload, seed)]
    assert any(REACHED[workload] in operation for operation in operations)
