"""The plan's faults come from the seed, in order, of kinds that a run has turned on."""

from __future__ import annotations

from collections import Counter

from simulator.faults.drawing import MOST_FAULTS, WEIGHTS, draw_faults
from simulator.faults.kinds import KINDS
from simulator.options import draw_options


def test_a_seed_draws_the_same_rows_every_time() -> None:
    options = draw_options(5)
    rows = draw_faults(5, options)
    assert rows == draw_faults(5, options)
    assert [row.number for row in rows] == list(range(len(rows)))
    assert [row.at_s for row in rows] == sorted(row.at_s for row in rows)
    assert all(0 <= row.at_s <= options.safety_s and 0 <= row.strength <= 1 for row in rows)


def test_every_kind_comes_somewhere_and_none_everywhere() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(300):
        rows = draw_faults(seed, draw_options(seed))
        assert 1 <= len(rows) <= MOST_FAULTS
        kinds.update({row.kind for row in rows})
    assert kinds.keys() == KINDS.keys() == WEIGHTS.keys()
    assert max(kinds.values()) < 200
