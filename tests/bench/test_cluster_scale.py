"""When thousands of partitions count as led and in sync."""

from bench.cluster_scale import is_led_without, is_whole
from wire.messages.metadata import (
    MetadataResponse,
    MetadataResponsePartition,
    MetadataResponseTopic,
)


def told(*partitions: tuple[int, list[int]]) -> MetadataResponse:
    """Of leaders and those in sync."""
    return MetadataResponse(
        brokers=[],
        topics=[
            MetadataResponseTopic(
                error_code=0,
                name="t",
                is_internal=False,
                partitions=[
                    MetadataResponsePartition(
                        error_code=0,
                        partition_index=0,
                        leader_id=leader,
                        replica_nodes=[1, 2, 3],
                        isr_nodes=isr,
                    )
                ],
            )
            for leader, isr in partitions
        ],
    )


def test_all_are_there_and_each_has_a_leader_and_all_replicas():
    whole = told((1, [1, 2, 3]), (2, [3, 2, 1]))
    assert is_whole(whole, 2)
    assert not is_whole(whole, 3)
    assert not is_whole(told((1, [1, 2, 3]), (-1, [1, 2, 3])), 2)
    assert not is_whole(told((1, [1, 2, 3]), (1, [1, 2])), 2)


def test_nothing_is_led_by_who_was_killed_nor_by_nobody():
    assert is_led_without(told((1, [1]), (2, [2])), 2, killed=3)
    assert not is_led_without(told((1, [1]), (3, [2])), 2, killed=3)
    assert not is_led_without(told((1, [1]), (-1, [2])), 2, killed=3)
    assert not is_led_without(told((1, [1])), 2, killed=3)
