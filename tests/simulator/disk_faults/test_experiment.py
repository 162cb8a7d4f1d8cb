"""A sample of the matrix: one cell for each kind of outcome; all cells are another command's."""

from __future__ import annotations

import pytest

from simulator.disk_faults.__main__ import cells, main
from simulator.disk_faults.expected import expected_of
from simulator.disk_faults.experiment import Cell, Observed, classify, run_cell
from simulator.disk_faults.outcomes import Outcome
from simulator.disk_faults.scene import Left, When, make_scene

SAMPLE = (
    "active-log/payload-bit/running",
    "active-log/unflushable/running",
    "active-log/tail/power",
    "recent-log/payload-bit/kill",
    "old-log/missing/stop",
    "old-log/payload-bit/power",
    "old-index/zeroes/kill",
    "partition/missing/stop",
    "log-starts/missing/kill",
    "offsets-log/full/running",
    "flushed-ends/junk/power",
    "clean/missing/running",
)


@pytest.fixture(scope="module")
def scene() -> dict[When, Left]:
    return make_scene()


@pytest.mark.parametrize("name", SAMPLE)
def test_a_cell_comes_to_what_the_table_says(name: str, scene: dict[When, Left]) -> None:
    (cell,) = cells(name)
    result = run_cell(cell, scene[cell.when])
    assert result.outcome is expected_of(cell.kind, cell.fault, cell.when), result.observed


def test_a_refused_start_names_the_file_in_one_line(scene: dict[When, Left]) -> None:
    for name in ("recent-log/payload-bit/kill", "partition/missing/stop", "meta/zeroes/kill"):
        (cell,) = cells(name)
        (text,) = run_cell(cell, scene[cell.when]).observed.refused
        path = cell.kind.path_of(scene[cell.when].disk)
        assert path is not None
        assert path in text
        assert "\n" not in text


def test_no_cell_is_expected_to_be_a_defect_and_every_one_is_expected() -> None:
    every = list(cells())
    assert len(every) > 1300
    for cell in every:
        assert not expected_of(cell.kind, cell.fault, cell.when).is_defect, cell.name


def _cell() -> Cell:
    return next(cells("old-log/payload-bit/kill"))


def test_a_loss_counts_as_told_only_to_those_who_were_told() -> None:
    gone = [("orders", "the record at 3 is gone")]
    assert classify(_cell(), Observed(at_last=gone)) is Outcome.LOST
    other = Observed(at_last=gone, errors={("ledger", "Fetch CORRUPT_MESSAGE"): 1})
    assert classify(_cell(), other) is Outcome.LOST
    told = Observed(at_last=gone, errors={("orders", "Fetch CORRUPT_MESSAGE"): 1})
    assert classify(_cell(), told) is Outcome.ANSWERED
    warned = Observed(at_last=gone, lines=[(30, "orders-0: something")])
    assert classify(_cell(), warned) is Outcome.LOST


def test_tracebacks_and_waiting_in_vain_are_defects_whatever_else_was_seen() -> None:
    assert classify(_cell(), Observed(tracebacks=["x"], refused=["y"])) is Outcome.TRACEBACK
    assert classify(_cell(), Observed(stuck="x", refused=["y"])) is Outcome.STUCK


def test_the_command_runs_one_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cell", "lock/missing/kill"]) == 0
    assert "1 cells" in capsys.readouterr().out
    assert main(["--cell", "no-such-file"]) == 1
