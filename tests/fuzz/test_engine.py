"""What the engine finds, and how it names it: with targets that are wrong on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import corpus, engine
from tests.fuzz.mutation import plain
from tests.fuzz.target import Target, require
from wire.errors import WireError


@pytest.fixture(autouse=True)
def own_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(corpus, "DIRECTORY", tmp_path)
    return tmp_path


def target(check, name: str = "test") -> Target:
    return Target(name, lambda chance: plain(b"sound"), check)


def failures_of(check, inputs: int = 300) -> list[engine.Failure]:
    tally = engine.Tally()
    engine.run_target(target(check), seed=1, inputs=inputs, tally=tally)
    return tally.failures


def test_whatever_escapes_is_found_with_its_index() -> None:
    def check(data: bytes) -> None:
        if data != b"sound":
            raise IndexError(data)

    (failure,) = failures_of(check)
    assert failure.error.startswith("IndexError")
    assert engine.one_input(target(check), 1, failure.index) == failure.data
    assert failure.command().endswith(f"--only test --seed 1 --index {failure.index}")


def test_what_is_refused_is_none() -> None:
    def refuse(data: bytes) -> None:
        raise WireError

    assert failures_of(refuse) == []


def test_a_broken_law_is_found() -> None:
    (failure,) = failures_of(lambda data: require(data == b"sound", "another"))
    assert failure.error == "LawBrokenError: another"


def test_a_failed_assertion_is_found() -> None:
    def check(data: bytes) -> None:
        assert data == b"sound", "no"

    assert failures_of(check)


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ALARM_S", 0.02)

    def hang(data: bytes) -> None:
        while data:
            pass

    (failure,) = failures_of(hang)
    assert failure.error.startswith("HangError")


def test_a_kept_input_is_replayed_first_and_is_no_base(own_corpus: Path) -> None:
    path = corpus.keep("test", b"found")
    assert path.name.startswith(corpus.FOUND)
    assert corpus.stored("test") == [path]
    assert corpus.bases("test") == []
    seen: list[bytes] = []
    tally = engine.Tally()
    engine.run_target(target(seen.append), seed=1, inputs=10, tally=tally)
    assert seen[0] == b"found"
    assert (tally.replayed, tally.inputs) == (1, 10)
    path.rename(own_corpus / "test" / "a-name")
    assert corpus.bases("test") == [b"found"]


def test_inputs_are_shared_out_by_weight() -> None:
    targets = [
        Target("a", target(print).make, print),
        Target("b", target(print).make, print, weight=9),
    ]
    assert engine.shares(targets, 1000) == [100, 900]
    assert engine.shares(targets, 0) == [0, 0]
    assert engine.shares(targets, 1) == [1, 1]
