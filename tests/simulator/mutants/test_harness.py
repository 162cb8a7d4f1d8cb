"""Known bugs put back: every patch fits the sources, and what is no find is not taken for one."""

import dataclasses
import difflib
import os
import sys
from pathlib import Path

import pytest

from simulator.model.rules import ALL_RULES
from simulator.mutants import harness
from simulator.mutants.harness import PATCHES, ROOT, PatchError, apply_patch, hunt, mutated
from simulator.mutants.mutant import Mutant
from simulator.mutants.replication_table import REPLICATION_MUTANTS
from simulator.mutants.table import MUTANTS

SOURCE = "kbroker/version.py"


def write_patch(directory: str, name: str, first_line: str, *, was: str | None = None) -> None:
    """A patch that puts another first line into SOURCE."""
    with open(os.path.join(ROOT, SOURCE), encoding="utf-8") as file:
        lines = file.read().splitlines(keepends=True)
    old = [was + "\n", *lines[1:]] if was else lines
    new = [first_line + "\n", *lines[1:]]
    with open(os.path.join(directory, f"{name}.patch"), "w", encoding="utf-8") as file:
        file.writelines(difflib.unified_diff(old, new, f"a/{SOURCE}", f"b/{SOURCE}"))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_patch_fits_the_sources(mutant: Mutant) -> None:
    apply_patch(mutant, ROOT, only_check=True)
    assert bool(mutant.seeds) != bool(mutant.scenario), "it is found one way or the other"


def test_every_patch_has_its_row() -> None:
    assert sorted(os.listdir(PATCHES)) == sorted(f"{mutant.name}.patch" for mutant in MUTANTS)


def test_there_are_enough_and_most_of_a_single_brokers_are_found_by_seeds() -> None:
    alone = set(MUTANTS) - set(REPLICATION_MUTANTS)
    assert len(alone) >= 20
    assert sum(bool(mutant.seeds) for mutant in alone) > len(alone) / 2
    assert len(REPLICATION_MUTANTS) >= 20
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_every_rule_of_replication_is_broken_by_a_mutant() -> None:
    assert {mutant.rule for mutant in MUTANTS} - {None} == ALL_RULES


def test_seeds_of_clusters_are_searched_as_such() -> None:
    name = "follower-fetches-past-its-durable-end"
    (mutant,) = (each for each in REPLICATION_MUTANTS if each.name == name)
    verdict = hunt(dataclasses.replace(mutant, seeds=5))
    assert verdict.found_by.startswith("python -m simulator --cluster --seed ")
    assert "InvariantError" in verdict.failure


def test_a_patch_goes_into_a_copy(tmp_path) -> None:
    write_patch(str(tmp_path), "other", "# mutated")
    with mutated(Mutant("other", "", seeds=1), str(tmp_path)) as directory:
        assert Path(directory, SOURCE).read_text().startswith("# mutated")
    assert "mutated" not in Path(ROOT, SOURCE).read_text()
    assert not os.path.exists(directory)


def test_a_patch_that_does_not_fit_is_an_error(tmp_path) -> None:
    write_patch(str(tmp_path), "other", "# mutated", was="# never there")
    with pytest.raises(PatchError, match="other"):
        hunt(Mutant("other", "", seeds=1), str(tmp_path))


def test_a_patch_that_changes_nothing_is_not_found(tmp_path) -> None:
    write_patch(str(tmp_path), "harmless", "# another comment")
    verdict = hunt(Mutant("harmless", "", seeds=1), str(tmp_path))
    assert verdict.found_by == ""


def test_a_patch_that_is_no_program_is_no_find(tmp_path) -> None:
    write_patch(str(tmp_path), "broken", "VERSION = (")
    verdict = hunt(Mutant("broken", "", seeds=1), str(tmp_path))
    assert verdict.found_by == ""


@pytest.mark.parametrize(
    ("test", "found"), [("test_clock.py", False), ("test_clock.py::no_such_test", False)]
)
def test_a_scenario_that_passes_or_cannot_run_finds_nothing(tmp_path, test, found) -> None:
    write_patch(str(tmp_path), "harmless", "# another comment")
    scenario = Mutant("harmless", "", scenario=f"tests/simulator/{test}")
    assert bool(hunt(scenario, str(tmp_path)).found_by) is found


def test_a_run_that_never_ends_is_told_from_one_that_passes() -> None:
    command = [sys.executable, "-c", "while True: pass"]
    assert harness._run(command, ROOT, 0.5) == (None, "")
