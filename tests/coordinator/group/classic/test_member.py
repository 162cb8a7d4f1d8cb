"""A member: what it can do, and whether it has to be heard of."""

from __future__ import annotations

import pytest

from coordinator.group.classic.member import ParkedJoin
from tests.coordinator.group.groups import new_member
from tests.coordinator.requests import subscription


def test_it_votes_for_the_first_candidate_that_it_names() -> None:
    member = new_member("a", protocols="range,sticky,roundrobin")
    assert member.vote({"roundrobin", "sticky"}) == "sticky"
    with pytest.raises(AssertionError):
        member.vote({"unknown"})


def test_its_metadata_is_that_of_the_protocol() -> None:
    assert new_member("a", topic="u").metadata("range") == subscription(["u"])
    with pytest.raises(AssertionError):
        new_member("a").metadata(None)


def test_who_waits_need_not_heartbeat_unless_it_is_new() -> None:
    member = new_member("a")
    assert not member.is_alive_unheard
    member.parked_join = ParkedJoin(1, 9)
    assert member.is_awaiting_join
    assert member.is_alive_unheard
    member.is_new = True
    assert not member.is_alive_unheard
    member.is_new, member.parked_join, member.sync_ticket = False, None, 2
    assert member.is_alive_unheard
    assert not member.is_awaiting_join
