"""The pure map: history, compaction and restoring. What it answers: the conformance suite."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.cluster.metadata_store import Delete, DeletePrefix, Get, Operation, Put
from kbroker.cluster.revisioned_map import Change, RevisionedMap

operations = st.one_of(
    st.builds(Put, st.sampled_from("abc"), st.sampled_from([b"1", b"2"])),
    st.builds(Delete, st.sampled_from("abc")),
)


def write(contents: RevisionedMap, *operations: Operation) -> list[Change]:
    plan = contents.plan([], operations, [])
    contents.apply(plan)
    return list(plan.changes)


@given(st.lists(operations, max_size=20), st.data())
def test_a_map_restored_from_its_changes_is_the_same_map(
    program: list[Operation], data: st.DataObject
) -> None:
    contents = RevisionedMap()
    changes = [change for operation in program for change in write(contents, operation)]
    compact_revision = data.draw(st.integers(0, contents.revision))
    if compact_revision:
        contents.compact(compact_revision)
    restored = RevisionedMap()
    restored.restore(changes, contents.revision, compact_revision)
    for revision in range(max(1, compact_revision), contents.revision + 1):
        assert restored.list_prefix("", revision) == contents.list_prefix("", revision)
        assert restored.batch_after("", revision, 100) == contents.batch_after("", revision, 100)
    assert restored.overdue_compaction(1) == contents.overdue_compaction(1)


def test_a_plan_changes_nothing_and_goes_stale() -> None:
    contents = RevisionedMap()
    plan = contents.plan([], [Put("a", b"")], [])
    assert contents.get("a") is None
    write(contents, Put("b", b""))
    with pytest.raises(AssertionError, match="changed under a plan"):
        contents.apply(plan)


def test_reads_in_a_transaction_see_the_writes_before_them() -> None:
    contents = RevisionedMap()
    write(contents, Put("a", b"old"), Put("b", b"old"))
    plan = contents.plan(
        [], [Get("a"), Put("a", b"new"), Get("a"), DeletePrefix("b"), Get("b"), Get("c")], []
    )
    values = [kv.value if kv else None for kv in plan.result.values]
    assert values == [b"old", b"new", None, None]


@given(st.lists(st.integers(1, 5), max_size=60), st.integers(1, 10))
def test_a_history_that_compacts_when_it_should_stays_bounded(
    sizes: list[int], max_changes: int
) -> None:
    contents = RevisionedMap()
    lengths: list[int] = []
    for size in sizes:
        write(contents, *(Put(str(n), b"") for n in range(size)))
        lengths.append(size)
        revision = contents.overdue_compaction(max_changes)
        if revision:
            contents.compact(revision)
            kept = contents.revision - revision + 1
            assert max_changes <= sum(lengths[-kept:]) < max_changes + 5
        assert contents._history_size < 2 * max_changes + 5
