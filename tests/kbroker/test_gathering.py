"""Answers made of several parts: at once where all are there, whole or not at all where not."""

from __future__ import annotations

from kbroker.gathering import gather
from kbroker.watch import Deferred
from wire.errors import ErrorCode, KafkaError


def waiting() -> Deferred[str]:
    return Deferred(blocks=False)


def test_parts_that_are_there_are_combined_at_once() -> None:
    assert gather(["a", "b"], "-".join) == "a-b"
    assert gather([], "-".join) == ""


def test_parts_keep_their_places_in_whatever_order_they_come() -> None:
    first, third = waiting(), waiting()
    told: list[str | None] = []
    whole = gather([first, "b", third], "-".join)
    assert isinstance(whole, Deferred)
    assert not whole.blocks
    whole.then(told.append)
    third.settle("c")
    assert told == []
    first.settle("a")
    assert told == ["a-b-c"]


def test_a_part_that_fails_is_told_in_its_place() -> None:
    first = waiting()
    told: list[str | None] = []
    whole = gather([first, "b"], "-".join, lambda place, code: f"{place}:{code.name}")
    assert isinstance(whole, Deferred)
    whole.then(told.append)
    first.fail(KafkaError(ErrorCode.NOT_COORDINATOR))
    assert told == ["0:NOT_COORDINATOR-b"]


def test_an_error_that_has_no_code_gets_one() -> None:
    first = waiting()
    told: list[str | None] = []
    whole = gather([first], "-".join, lambda place, code: code.name)
    assert isinstance(whole, Deferred)
    whole.then(told.append)
    first.fail(ValueError("a bug"))
    assert told == ["UNKNOWN_SERVER_ERROR"]


def test_without_a_place_for_errors_the_whole_fails_and_lets_go_of_the_rest() -> None:
    first, second = waiting(), waiting()
    let_go: list[str] = []
    second.on_abandon = lambda: let_go.append("second")
    errors: list[Exception] = []
    whole = gather([first, second], "-".join)
    assert isinstance(whole, Deferred)
    whole.then(lambda _: None, on_error=errors.append)
    error = KafkaError(ErrorCode.NOT_COORDINATOR)
    first.fail(error)
    assert errors == [error]
    assert let_go == ["second"]


def test_a_whole_that_nobody_waits_for_lets_go_of_its_parts() -> None:
    first, second = waiting(), waiting()
    let_go: list[str] = []
    first.on_abandon = lambda: let_go.append("first")
    second.on_abandon = lambda: let_go.append("second")
    whole = gather([first, "b", second], "-".join)
    assert isinstance(whole, Deferred)
    whole.abandon()
    assert let_go == ["first", "second"]


def test_a_combination_that_breaks_fails_the_request() -> None:
    first = waiting()
    errors: list[Exception] = []

    def breaks(parts: list[str]) -> str:
        raise ValueError(parts)

    whole = gather([first], breaks)
    assert isinstance(whole, Deferred)
    whole.then(lambda _: None, on_error=errors.append)
    first.settle("a")
    assert [str(error) for error in errors] == ["['a']"]
