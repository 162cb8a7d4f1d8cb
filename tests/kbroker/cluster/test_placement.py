"""Where replicas go."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.cluster.placement import PlacementStart, plan_placement, validate_assignment
from wire.errors import ErrorCode, KafkaError

NO_RACKS = dict.fromkeys(range(5))


def test_the_example_in_kafkas_documentation() -> None:
    """AdminUtils: five brokers, ten partitions, three replicas, starting at broker 0, shift 0."""
    placement = plan_placement(
        NO_RACKS, partition_count=10, replication_factor=3, start=PlacementStart(0, 0)
    )
    assert placement == [
        (0, 1, 2),
        (1, 2, 3),
        (2, 3, 4),
        (3, 4, 0),
        (4, 0, 1),
        (0, 2, 3),
        (1, 3, 4),
        (2, 4, 0),
        (3, 0, 1),
        (4, 1, 2),
    ]


def test_a_cluster_of_one() -> None:
    placement = plan_placement(
        {7: None}, partition_count=3, replication_factor=1, start=PlacementStart(5, 9)
    )
    assert placement == [(7,)] * 3


def test_brokers_that_are_away_get_what_the_others_are_too_few_for() -> None:
    placement = plan_placement(
        {1: None, 2: None},
        partition_count=4,
        replication_factor=3,
        start=PlacementStart(),
        absent=(7, 9),
    )
    assert placement == [(1, 2, 7), (2, 1, 9), (1, 2, 7), (2, 1, 9)]
    enough = plan_placement(
        {1: None, 2: None},
        partition_count=1,
        replication_factor=2,
        start=PlacementStart(),
        absent=(7,),
    )
    assert enough == [(1, 2)]


@pytest.mark.parametrize(
    ("racks", "problem"),
    [
        (
            {1: None},
            "The target replication factor of 4 cannot be reached because only 3 broker(s) are "
            "registered or some brokers have all their log directories cordoned.",
        ),
        ({}, "All brokers are currently fenced, or have all their log directories cordoned."),
    ],
)
def test_too_few_brokers_are_told_in_kafkas_words(racks: dict[int, None], problem: str) -> None:
    with pytest.raises(KafkaError) as caught:
        plan_placement(
            racks,
            partition_count=1,
            replication_factor=4,
            start=PlacementStart(),
            absent=(7, 9),
        )
    assert caught.value.code == ErrorCode.INVALID_REPLICATION_FACTOR
    assert caught.value.detail == f"Unable to replicate the partition 4 time(s): {problem}"


@given(
    racks=st.dictionaries(st.integers(0, 9), st.sampled_from("abc"), min_size=1, max_size=8),
    partition_count=st.integers(1, 30),
    data=st.data(),
)
def test_leaders_are_spread_evenly_and_racks_before_repetition(
    racks: dict[int, str], partition_count: int, data: st.DataObject
) -> None:
    replication_factor = data.draw(st.integers(1, len(racks)))
    start = PlacementStart(data.draw(st.integers(0, 99)), data.draw(st.integers(0, 99)))
    placement = plan_placement(
        racks, partition_count=partition_count, replication_factor=replication_factor, start=start
    )
    assert len(placement) == partition_count
    leaders = Counter(dict.fromkeys(racks, 0))
    for replicas in placement:
        assert len(set(replicas)) == replication_factor
        assert set(replicas) <= racks.keys()
        leaders[replicas[0]] += 1
        rack_count = len(set(racks.values()))
        used = {racks[each] for each in replicas}
        assert len(used) == min(rack_count, replication_factor)
    assert max(leaders.values()) - min(leaders.values()) <= 1


def test_one_broker_without_a_rack_and_racks_do_not_count() -> None:
    racks = {0: "a", 1: "a", 2: None}
    placement = plan_placement(
        racks, partition_count=1, replication_factor=2, start=PlacementStart(0, 0)
    )
    assert placement == [(0, 1)]


def test_growth_goes_on_where_the_topic_ended() -> None:
    start = PlacementStart(3, 4)
    whole = plan_placement(NO_RACKS, partition_count=5, replication_factor=2, start=start)
    grown = plan_placement(
        NO_RACKS, partition_count=2, replication_factor=2, start=start, first_partition=3
    )
    assert whole[3:] == grown


def test_too_few_brokers() -> None:
    with pytest.raises(KafkaError) as caught:
        plan_placement({0: None}, partition_count=1, replication_factor=3, start=PlacementStart())
    assert caught.value.code is ErrorCode.INVALID_REPLICATION_FACTOR
    assert caught.value.detail == (
        "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot "
        "be reached because only 1 broker(s) are registered or some brokers have all their log "
        "directories cordoned."
    )


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ({0: []}, "The manual partition assignment includes an empty replica list."),
        ({0: [1, 1]}, "The manual partition assignment includes the broker 1 more than once."),
        (
            {0: [9]},
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (
            {0: [0, 1], 1: [1]},
            "The manual partition assignment includes a partition with 1 replica(s), but this is "
            "not consistent with previous partitions, which have 2 replica(s).",
        ),
        ({1: [0]}, "partitions should be a consecutive 0-based integer sequence"),
    ],
)
def test_bad_assignments(assignment: dict[int, list[int]], message: str) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_assignment(assignment, [0, 1])
    assert caught.value.code is ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert caught.value.detail == message


def test_a_good_assignment() -> None:
    validate_assignment({1: [1, 0], 0: [0, 1]}, [0, 1])
