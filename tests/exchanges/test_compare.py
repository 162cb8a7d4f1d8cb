"""Differences are found as deep as they can be told, and only listed ones are excused."""

from tools.record.compare import ABSENT, Difference, compare
from tools.record.deviations import Deviation
from tools.record.golden import write_golden
from tools.record.player import Exchange
from tools.record.replay import differences
from tools.record.text import Symbol, Tree

NONE, CORRUPT = Symbol("NONE"), Symbol("CORRUPT_MESSAGE")


def test_equal_answers_have_no_difference() -> None:
    assert list(compare({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]})) == []


def test_a_text_is_not_the_name_that_it_spells() -> None:
    assert list(compare({"a": "NONE"}, {"a": NONE})) == [Difference("a", "NONE", NONE)]


def test_list_elements_are_matched_by_what_identifies_them() -> None:
    kafka: Tree = {"topics": [{"name": "a", "error_code": NONE}, {"name": "b"}]}
    ours: Tree = {"topics": [{"name": "a", "error_code": CORRUPT}]}

    assert list(compare(kafka, ours)) == [
        Difference("topics.a.error_code", NONE, CORRUPT),
        Difference("topics.b", {"name": "b"}, ABSENT),
    ]


def test_an_answer_in_place_of_a_closed_connection_differs_as_a_whole() -> None:
    assert list(compare(Symbol("closed"), {"a": 1})) == [Difference("", Symbol("closed"), {"a": 1})]


def _played(answer: Tree, rows: tuple[Deviation, ...] = ()) -> tuple[list[str], set[Deviation]]:
    golden = write_golden("", [Exchange("step", "Produce v9", {"acks": 1}, {"error_code": NONE})])
    return differences(
        "produce/x", [Exchange("step", "Produce v9", {"acks": 1}, answer)], golden, rows
    )


def test_a_listed_deviation_excuses_and_is_needed() -> None:
    row = Deviation("produce/*", "*", "error_code", "NONE", "CORRUPT_*", "because")

    assert _played({"error_code": CORRUPT}, (row,)) == ([], {row})
    assert _played({"error_code": NONE}, (row,)) == ([], set())


def test_a_deviation_excuses_no_other_value() -> None:
    row = Deviation("produce/*", "*", "error_code", "NONE", "INVALID_RECORD", "because")

    found, needed = _played({"error_code": CORRUPT}, (row,))

    assert found == [
        "step (Produce v9)\n  error_code\n    kafka    NONE\n    kbroker  CORRUPT_MESSAGE"
    ]
    assert needed == set()


def test_a_request_that_was_not_recorded_is_told() -> None:
    golden = write_golden("", [Exchange("step", "Produce v9", {"acks": 1}, {})])
    played = [
        Exchange("step", "Produce v9", {"acks": 2}, {}),
        Exchange("new", "Produce v9", {}, {}),
    ]

    found, _ = differences("produce/x", played, golden, ())

    assert found == ["step: another request was recorded", "new: never recorded"]


def test_wording_is_compared_only_where_tools_show_it() -> None:
    golden = write_golden("", [Exchange("step", "X v1", {}, {"error_message": "Kafka's"})])

    def count(name: str, message: Tree) -> int:
        played = [Exchange("step", "X v1", {}, {"error_message": message})]
        return len(differences(name, played, golden, ())[0])

    assert count("produce/x", "ours") == 0
    assert count("produce/x", None) == 1
    assert count("create_topics/x", "ours") == 1
