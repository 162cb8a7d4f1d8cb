"""Tables: aligned, whole, and harmless."""

import pytest

from kbroker.cli.tables import layout, printable


def test_in_a_pipe_each_row_is_a_line_and_numbers_stand_right():
    text = layout(("NAME", "COUNT"), [("a", 1), ("longer", 100)], "", width=None)
    assert text == "NAME    COUNT\na           1\nlonger    100\n"


def test_in_a_pipe_nothing_is_folded_however_wide():
    name = "x" * 5000
    text = layout(("NAME", "COUNT"), [(name, 1)], "", width=None)
    assert text.splitlines()[1] == f"{name}      1"


def test_on_a_terminal_nothing_is_wider_than_it_and_nothing_is_cut_away():
    text = layout(("NAME", "VALUE"), [("n" * 60, "v" * 60)], "", width=40)
    plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert all(len(line) <= 40 for line in plain.splitlines())
    assert plain.count("n") == 60
    assert plain.count("v") == 60


def test_on_a_terminal_the_names_of_columns_are_bold():
    assert "\x1b[1m" in layout(("NAME",), [("a",)], "", width=40)


def test_wide_characters_count_twice():
    text = layout(("NAME", "COUNT"), [("日本", 1), ("abcd", 2)], "", width=None)
    assert text.splitlines()[1:] == ["日本      1", "abcd      2"]


def test_a_missing_number_leaves_its_column_to_the_right():
    text = layout(("LAG",), [(None,), (100,)], "", width=None)
    assert text == "LAG\n  -\n100\n"


def test_no_rows_leave_the_heading():
    assert layout(("A", "B"), [], "", width=None) == "A  B\n"


def test_a_title_stands_above():
    assert layout(("A",), [("x",)], "All", width=None) == "All\nA\nx\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (7, "7"),
        ("plain é 日", "plain é 日"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines", "two\\nlines"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_no_cell_can_steer_a_terminal(value: object, text: str):
    assert printable(value) == text
    assert text in layout(("A",), [(value,)], "", width=None)
