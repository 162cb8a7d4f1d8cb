"""The command line picks rows by part of their name."""

from __future__ import annotations

import pytest

from bench.__main__ import choose, main
from bench.loads import LOADS


def test_without_names_everything_is_measured() -> None:
    assert choose([]) == (list(LOADS), True)


def test_a_part_of_a_name_chooses() -> None:
    loads, measures_start = choose(["flushed", "16KiB"])
    assert {load.name.split("-")[0] for load in loads} == {"flushed", "fetch"}
    assert not measures_start
    assert choose(["start"]) == ([], True)


def test_an_unknown_name_lists_the_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "nonsense"]) == 2
    assert "produce-100B-64" in capsys.readouterr().out


def test_row_names_are_unique() -> None:
    assert len({load.name for load in LOADS}) == len(LOADS)
