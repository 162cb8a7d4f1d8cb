"""Replicas in step with the model of replication, on random walks of it."""

from __future__ import annotations

import random

import pytest

from simulator.model.actions import drawn_step, drawn_urn
from simulator.model.rules import ALL_RULES
from tests.kbroker.replication.model_mirror import Mirror

STEPS = 120
WALKS_IN_A_TEST = 25
OWN = ("advance_high_watermark", "propose_isr", "forget_proposals")
"""What the replicas do by themselves."""


def walk(seed: int) -> Mirror:
    chance = random.Random(seed)
    mirror = Mirror(chance)
    urn = tuple(each for each in drawn_urn(3, chance) if each[0].__name__ not in OWN)
    try:
        for _ in range(STEPS):
            mirror.now += 1
            roll = chance.random()
            if roll < 0.15:
                mirror.propose(chance.randrange(3), removing=chance.random() < 0.3)
            elif roll < 0.17:
                mirror.time_out(chance.randrange(3))
            elif roll < 0.2:
                mirror.checkpoint(chance.randrange(3))
            else:
                step = drawn_step(mirror.state, ALL_RULES, urn, chance)
                if step is not None and step[0].action not in OWN:
                    mirror.take(*step)
    except AssertionError as wrong:
        wrong.add_note(f"seed {seed}: {mirror}")
        raise
    return mirror


@pytest.mark.parametrize("first", range(0, 4 * WALKS_IN_A_TEST, WALKS_IN_A_TEST))
def test_replicas_do_what_the_model_does_and_it_allows_what_they_do(first: int) -> None:
    for seed in range(first, first + WALKS_IN_A_TEST):
        walk(seed)
