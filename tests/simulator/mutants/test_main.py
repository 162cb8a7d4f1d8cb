"""The command that looks for mutants."""

import json

from click.testing import CliRunner

from simulator.mutants import __main__ as command
from simulator.mutants.harness import Verdict


def verdict(mutant, found_by: str) -> Verdict:
    return Verdict(mutant, found_by, 3 if found_by else 400, "it fails" if found_by else "")


def run(monkeypatch, *arguments: str, missed: frozenset[str] = frozenset()):
    monkeypatch.setattr(
        command,
        "hunt",
        lambda mutant: verdict(mutant, "" if mutant.name in missed else "--seed 2"),
    )
    return CliRunner().invoke(command.main, [*arguments])


def test_all_found_is_success_and_the_figures_are_written(monkeypatch, tmp_path) -> None:
    file = tmp_path / "mutants.json"
    result = run(monkeypatch, "--json", str(file))
    assert result.exit_code == 0
    figures = json.loads(file.read_text())
    assert figures["mutants"] == figures["found"] == len(command.MUTANTS)
    assert figures["rows"][0]["name"] == command.MUTANTS[0].name


def test_one_that_is_not_found_fails_by_name(monkeypatch) -> None:
    name = command.MUTANTS[1].name
    result = run(monkeypatch, "--only", name, missed=frozenset([name]))
    assert result.exit_code == 1
    assert f"not found: {name}" in result.output


def test_a_name_that_does_not_exist_is_refused(monkeypatch) -> None:
    result = run(monkeypatch, "--only", "nothing-of-that-name")
    assert result.exit_code == 1
    assert "no such mutants: nothing-of-that-name" in result.output
