"""The table of situations, and that it is complete."""

from __future__ import annotations

import pytest

from simulator.probes import AT, REFUSED
from simulator.probes_log import LINES
from simulator.situations import SITUATIONS, Situations


def test_each_has_a_sentence_and_there_are_many() -> None:
    assert len(SITUATIONS) >= 50
    assert all(text.endswith(".") and text[0].isupper() for text in SITUATIONS.values())


def test_what_probes_look_for_has_a_name() -> None:
    names = [row[0] for row in AT] + [name for _, name in LINES] + list(REFUSED.values())
    assert set(names) <= SITUATIONS.keys()


def test_only_what_has_a_name_is_counted() -> None:
    situations = Situations()
    situations.saw("killed")
    assert situations.counts == {"killed": 1}
    with pytest.raises(AssertionError):
        situations.saw("something else")


def test_who_waits_for_a_situation_is_told_once() -> None:
    situations = Situations()
    told: list[str] = []
    situations.awaited["killed"] = lambda: told.append("killed")
    for name in ("stopped", "killed", "killed"):
        situations.saw(name)
    assert told == ["killed"]
