"""The command: what it prints, its exit status, its figures."""

import json

import pytest

from simulator.model.__main__ import main
from simulator.model.rules import Rule


def test_with_all_rules_nothing_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--walks", "20"]) == 0
    assert main(["--states", "500"]) == 0
    printed = capsys.readouterr().out
    assert "20 walks" in printed
    assert "500 states" in printed
    assert printed.count("no invariant is broken") == 2


def test_without_a_rule_the_violation_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rule-off", "durable-ends", "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    assert Rule.DURABLE_ENDS.sentence in printed
    assert "breaks eligible_completeness" in printed


def test_a_missing_rule_that_is_not_noticed_is_a_failure() -> None:
    assert main(["--rule-off", "durable-ends", "--states", "10"]) == 1


def test_each_rule_and_its_figures(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    arguments = ["--each-rule", "--walks", "2", "--states", "500", "--json", str(path)]
    assert main(arguments) == 0
    figures = json.loads(path.read_text())
    assert figures["rules"] == figures["rules_found"] == len(Rule)
    assert {"states", "walks", "steps", "seconds", "rules_found_by_walks"} <= set(figures)
    printed = capsys.readouterr().out
    assert all(f"without {rule}:" in printed for rule in Rule)


def test_only_rules_can_be_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rule-off", "luck"])
    assert "invalid choice" in capsys.readouterr().err
