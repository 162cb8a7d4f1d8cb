"""Committed offsets against a plain dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.group.offsets import CommittedOffset, CommittedOffsets

GROUPS = st.sampled_from(["a", "b", "c"])
TOPICS = st.sampled_from(["t", "u"])
STEPS = st.tuples(
    st.sampled_from(["put", "put", "remove"]),
    GROUPS,
    TOPICS,
    st.integers(0, 2),
    st.integers(0, 99),
)


def offset_of(number: int) -> CommittedOffset:
    return CommittedOffset(number, 0, "", 0, -1, bytes(16))


@given(st.lists(STEPS, max_size=40))
def test_committed_offsets_are_a_map_by_group_topic_and_partition(steps) -> None:
    offsets = CommittedOffsets()
    model: dict[tuple[str, str, int], CommittedOffset] = {}
    for action, group, topic, partition, number in steps:
        if action == "put":
            offsets.put(group, topic, partition, offset_of(number))
            model[group, topic, partition] = offset_of(number)
        else:
            offsets.remove(group, topic, partition)
            model.pop((group, topic, partition), None)
    for group in "abc":
        assert (group in offsets) == any(key[0] == group for key in model)
        flat = {
            (group, topic, partition): committed
            for topic, partitions in offsets.of_group(group).items()
            for partition, committed in partitions.items()
        }
        assert flat == {key: value for key, value in model.items() if key[0] == group}
        for topic in "tu":
            for partition in range(3):
                found = offsets.get(group, topic, partition)
                assert found == model.get((group, topic, partition))
    for topic in "tu":
        expected = sorted((key[0], key[2]) for key in model if key[1] == topic)
        assert list(offsets.of_topic(topic)) == expected
