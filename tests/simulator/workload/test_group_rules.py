"""The rules of a group, each broken by hand."""

import pytest

from simulator.invariant_error import InvariantError
from simulator.workload.group_rules import GroupRules

PLACE = ("load", 0)


def test_a_partition_has_one_owner_in_a_generation() -> None:
    rules = GroupRules("g")
    rules.assigned("a", 1, [PLACE])
    rules.assigned("a", 1, [PLACE])
    rules.assigned("b", 2, [PLACE])
    with pytest.raises(InvariantError, match="gives"):
        rules.assigned("a", 2, [PLACE])


def test_generations_do_not_fall() -> None:
    rules = GroupRules("g")
    rules.assigned("a", 4, [])
    rules.joined("b", 4, floor=rules.floor)
    with pytest.raises(InvariantError, match="joined generation 3 after 4"):
        rules.joined("b", 3, floor=rules.floor)


def test_only_a_member_of_the_generation_that_holds_may_commit() -> None:
    rules = GroupRules("g")
    rules.committed("a", 3, floor=3)
    with pytest.raises(InvariantError, match="committed in generation 2 during 3"):
        rules.committed("a", 2, floor=3)


def test_what_the_page_cache_lost_holds_no_more() -> None:
    rules = GroupRules("g")
    rules.assigned("a", 4, [PLACE])
    rules.forget(0)
    assert rules.floor == 4
    rules.forget(1)
    rules.assigned("b", 4, [PLACE])
    assert rules.floor == 4
