"""The command: figures, exit status, one state again."""

from __future__ import annotations

import json
import sys

import pytest

from simulator.crash_states import enumeration
from simulator.crash_states.__main__ import main


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["crash_states", *arguments])
    return main()


def test_figures_are_written(monkeypatch, tmp_path, capsys) -> None:
    path = tmp_path / "figures.json"
    assert _run(monkeypatch, "--states", "40", "--workload", "rolls", "--json", str(path)) == 0
    figures = json.loads(path.read_text())
    assert (figures["states"], figures["failures"]) == (40, 0)
    assert "40 different crash states" in capsys.readouterr().out


def test_a_finding_prints_the_command_that_makes_it_again(monkeypatch, capsys) -> None:
    monkeypatch.setattr(enumeration, "check_state", lambda moment, bits: "lost")
    assert _run(monkeypatch, "--workload", "rolls") == 1
    first, command = capsys.readouterr().out.splitlines()[:2]
    assert first.endswith(": lost")
    assert _run(monkeypatch, *command.split()[3:]) == 1
    assert capsys.readouterr().out == "lost\n"


def test_one_state_that_recovers(monkeypatch, capsys) -> None:
    assert _run(monkeypatch, "--state", "rolls:0:20:0") == 0
    assert capsys.readouterr().out == "recovers\n"
