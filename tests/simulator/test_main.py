"""The command line of the simulator."""

import json

import pytest
from click.testing import CliRunner

from simulator.__main__ import main, parse_seeds

SHORT = ("--set", "safety_s=3")


def test_one_seed_is_told_in_full() -> None:
    result = CliRunner().invoke(main, ["--seed", "3", *SHORT])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("seed 3, commit ")
    assert result.stdout.endswith("passed\n")


def test_only_the_digest() -> None:
    runner = CliRunner()
    first, again = (runner.invoke(main, ["--seed", "3", *SHORT, "--digest"]) for _ in range(2))
    assert first.stdout == again.stdout
    assert len(first.stdout.strip()) == 16


def test_many_end_in_a_table_and_figures(tmp_path) -> None:
    file = tmp_path / "figures.json"
    arguments = ["--seeds", "0..3", *SHORT, "--json", str(file)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "situations reached" in result.output
    figures = json.loads(file.read_text())
    assert (figures["seeds"], figures["failures"]) == (3, 0)
    assert figures["simulated_hours"] > 0


def test_situations_that_are_required_and_missing_fail() -> None:
    result = CliRunner().invoke(main, ["--seeds", "0..1", *SHORT, "--require-situations"])
    assert result.exit_code == 1
    assert "never reached: " in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either --seed"),
        (["--seeds", "5"], "A..B"),
        (["--seed", "1", "--set", "no=1"], "no is no option"),
        (["--seed", "1", "--without", "reader-1"], "neither fault:NUMBER nor worker:NAME"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(arguments, words) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert words in result.output


def test_ranges_leave_their_end_out() -> None:
    assert list(parse_seeds("3..6")) == [3, 4, 5]
