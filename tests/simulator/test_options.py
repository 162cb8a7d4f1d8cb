"""Options are drawn from the seed, each by a chance of its own, and set from words."""

from dataclasses import fields

import pytest

from simulator.options import Options, chance_of, changed, draw_options, shown


def test_equal_seeds_draw_equal_options() -> None:
    assert draw_options(3) == draw_options(3)
    assert len({draw_options(seed) for seed in range(20)}) == 20


def test_parts_of_a_run_have_chances_of_their_own() -> None:
    assert chance_of(1, "a").random() == chance_of(1, "a").random()
    assert chance_of(1, "a").random() != chance_of(1, "b").random()


def test_every_option_can_be_set_to_what_is_shown_of_it() -> None:
    options = draw_options(5)
    other = draw_options(6)
    for name, text in shown(options).items():
        other = changed(other, name, text)
    assert other == options
    assert list(shown(options)) == [each.name for each in fields(Options)]


def test_words_are_read_by_the_options_type() -> None:
    options = draw_options(1)
    assert changed(options, "safety_s", "12").safety_s == 12.0
    with pytest.raises(ValueError, match="there are safety_s"):
        changed(options, "safety", "12")
