"""The names of steps, written and read."""

import pytest

from simulator.model.steps import Label, parse_label


@pytest.mark.parametrize("text", ["elect", "append 0", "truncate 2 0", "change_min_isr - 1"])
def test_a_label_reads_as_it_is_written(text: str) -> None:
    assert str(parse_label(text)) == text


def test_what_is_not_there_is_nobody_and_nothing() -> None:
    assert parse_label(" elect 1 ") == Label("elect", broker=1)
    assert parse_label("elect") == Label("elect")


@pytest.mark.parametrize("text", ["crash 1 2 3", "crash one"])
def test_anything_else_is_no_label(text: str) -> None:
    with pytest.raises(ValueError):
        parse_label(text)
