"""The tables of the document: one for each time, a letter for each cell."""

from __future__ import annotations

import pytest

from simulator.disk_faults.document import BEGIN, END, disk_fault_tables, replaced
from simulator.disk_faults.expected import is_tried
from simulator.disk_faults.faults import COLUMNS, FAULTS
from simulator.disk_faults.kinds import KINDS
from simulator.disk_faults.scene import When


def test_each_time_has_a_row_for_each_file_and_a_cell_for_each_fault() -> None:
    rows = [line for line in disk_fault_tables().splitlines() if line.startswith("| ")]
    for kind in KINDS:
        mine = [row for row in rows if row.startswith(f"| {kind.words} |")]
        assert len(mine) == len(When)
        for row in mine:
            cells = row.strip("|").split("|")[1:]
            assert len(cells) == len(COLUMNS)
            for column, cell in zip(COLUMNS, cells, strict=True):
                tried = any(is_tried(kind, each) for each in FAULTS if each.column == column)
                assert bool(cell.strip()) == tried


def test_what_stands_around_the_tables_stays() -> None:
    text = replaced(f"before\n{BEGIN}\nformer words\n{END}\nafter\n")
    assert text.startswith(f"before\n{BEGIN}")
    assert text.endswith(f"{END}\nafter\n")
    assert "former words" not in text
    assert replaced(text) == text
    with pytest.raises(AssertionError, match="has a place"):
        replaced("nothing")
