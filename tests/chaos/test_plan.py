"""Faults that are drawn from the seed: all kinds come, and never more than a cluster bears."""

import random
from itertools import islice

from tests.chaos.faults import DOERS
from tests.chaos.network import CUTS
from tests.chaos.plan import (
    ETCD_S,
    MACHINES,
    OF_DISKS,
    OF_PROCESSES,
    PAUSE_S,
    WITH_BOTH_OF_A_MACHINE,
    Step,
    draw,
)

ROUND = len(OF_PROCESSES) + len(OF_DISKS) + len(CUTS)
LEASE_S = 6.0


def steps(
    seed: int, count: int = 1 + ROUND, *, disk_machine: int | None = 2, can_cut: bool = True
) -> list[Step]:
    drawn = draw(random.Random(seed), disk_machine=disk_machine, can_cut=can_cut)
    return list(islice(drawn, count))


def test_a_seed_is_a_plan():
    assert steps(7) == steps(7)
    assert steps(7) != steps(8)


def test_each_round_has_every_kind_and_the_first_of_all_is_a_kill():
    drawn = steps(3)
    assert drawn[0].kind == "kill"
    assert sorted(each.kind for each in drawn[1:]) == sorted([*OF_PROCESSES, *OF_DISKS, *CUTS])
    assert {each.kind for each in drawn} == {*DOERS, *CUTS}, "each can be done"


def test_what_the_machine_cannot_do_is_not_drawn():
    drawn = steps(3, 200, disk_machine=None, can_cut=False)
    assert {each.kind for each in drawn} == {*OF_PROCESSES}


def test_one_broker_and_one_etcd_member_at_most():
    drawn = steps(11, 2000)
    for each in drawn:
        if each.kind in WITH_BOTH_OF_A_MACHINE:
            assert each.etcd_s == 0, "its own member is away already"
        if each.kind == "etcd":
            assert ETCD_S[0] <= each.etcd_s <= ETCD_S[1]
    assert any(each.etcd_s and each.kind != "etcd" for each in drawn)
    assert all(each.etcd_s == 0 for each in drawn if each.kind == "kill"), "they are measured"


def test_disks_fail_where_they_are_ours_and_others_anywhere():
    drawn = steps(5, 500)
    assert {each.machine for each in drawn if each.kind in OF_DISKS} == {2}
    assert {each.machine for each in drawn if each.kind == "pause"} == set(range(1, MACHINES + 1))


def test_pauses_are_shorter_and_longer_than_a_lease():
    pauses = [each.seconds for each in steps(1, 1000) if each.kind == "pause"]
    assert PAUSE_S[0] <= min(pauses) < LEASE_S < max(pauses) <= PAUSE_S[1]


def test_a_step_says_what_it_is():
    assert Step("pause", 2, seconds=3.04).words == "SIGSTOP of broker 2 for 3.0 s"
    assert Step("deaf", 1, seconds=2.0).words == "machine 1 is deaf for 2.0 s"
    assert Step("etcd", 1, etcd_s=2.0).words == "etcd's leader is dead for 2.0 s"
    both = Step("restart", 3, etcd_s=1.5).words
    assert both == "broker 3 is restarted, etcd's leader is dead for 1.5 s"
    assert len({each.words for each in steps(1)}) > 1
