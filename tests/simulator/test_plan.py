"""A plan is what the seed draws, then the changes; its command says all of it."""

import pytest

from simulator.corpus import parse_plan
from simulator.plan import Plan


def test_leaving_a_fault_out_moves_no_other() -> None:
    whole = Plan.draw(1)
    first = whole.faults[0]
    less = Plan.draw(1, (), frozenset({f"fault:{first.number}"}))
    assert less.faults == whole.faults[1:]
    assert less.options == whole.options


def test_the_command_gives_the_plan_again(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    plan = Plan.draw(7, (("safety_s", "40"),), frozenset({"fault:0", "worker:producer-1"}))
    command = plan.command()
    assert command == (
        "python -m simulator --seed 7 --set safety_s=40"
        " --without fault:0 --without worker:producer-1"
    )
    assert parse_plan(command.split()) == plan


def test_another_hash_seed_is_part_of_the_command(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    assert Plan.draw(1).command() == "PYTHONHASHSEED=5 python -m simulator --seed 1"


@pytest.mark.parametrize(
    ("settings", "without", "words"),
    [
        ((("no_such", "1"),), (), "no_such is no option"),
        ((("partitions", "many"),), (), "of type int"),
        ((), ("fualt:1",), "neither fault:NUMBER nor worker:NAME"),
    ],
)
def test_what_cannot_be_is_refused(settings, without, words) -> None:
    with pytest.raises(ValueError, match=words):
        Plan.draw(1, settings, frozenset(without))
