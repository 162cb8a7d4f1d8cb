"""The parts of a night, and the tables that their figures become."""

from pathlib import Path

from tools.nightly import PARTS, QUICK_MUTANTS, chosen
from tools.testing_tables import ROWS, TABLES

FIGURES = {
    "status": 0,
    "commit": "abc",
    "date": "2026-01-01",
    "machine": "2 cores",
    "figures": {
        "seconds": 5.0,
        "seeds": 10,
        "failures": 0,
        "simulated_hours": 1.5,
        "times_real": 900,
        "counts": {"acknowledged": 1234, "fault: kill": 7},
        "situations": {"killed": {"times": 3, "seeds": 2, "what": "It was | killed."}},
        "rows": [{"name": "m", "bug": "b", "found_by": "cmd", "seeds": 3, "bound": 400}],
    },
}


def test_parts_are_chosen_by_name_or_by_its_beginning() -> None:
    assert [part.name for part in chosen("fuzz,soak", is_slice=True)] == [
        "fuzz-decoders", "fuzz-broker", "soak",
    ]  # fmt: skip
    assert chosen(None, is_slice=False) == list(PARTS)
    assert not {"check", "test", "bench"} & {part.name for part in chosen(None, is_slice=True)}


def test_each_part_that_writes_figures_has_a_row() -> None:
    assert set(ROWS) == {part.name for part in PARTS if "{json}" in part.words}


def test_a_slice_is_a_smaller_count_or_another_command() -> None:
    by_name = {part.name: part for part in PARTS}
    file = Path("figures.json")
    words = by_name["simulate"].command(count=400, first=50, json_file=file, is_slice=True)
    assert "50..450" in words
    words = by_name["mutants"].command(count=0, first=0, json_file=file, is_slice=True)
    assert ",".join(QUICK_MUTANTS) in words


def test_tables_show_the_figures() -> None:
    parts = {name: {**FIGURES, "part": name} for name in ("simulate", "mutants")}
    tables = {name: make(parts) for name, make in TABLES.items()}
    assert "10 seeds" in tables["the last night"]
    assert "900 x real time" in tables["the last night"]
    assert "| killed | 3 | 2 | It was \\| killed. |" in tables["situations of the simulation"]
    assert tables["faults of the simulation"] == "kill (7).\n"
    assert "| m | b | `cmd` | 3 of at most 400 |" in tables["mutants"]
    assert all("No night" in make({}) for make in TABLES.values())
