"""Settings as they are typed. The broker's part: tests/process/test_cli."""

import click
import pytest

from kbroker.__main__ import main
from kbroker.cli.configs import broker_id, split_assignments
from kbroker.cli.connection import CommandError


def test_assignments():
    assert split_assignments(["a=1", "b=x=y", "c=", " d = 2 "]) == {
        "a": "1",
        "b": "x=y",
        "c": "",
        "d": "2",
    }


@pytest.mark.parametrize("text", ["a", "=1", ""])
def test_what_is_no_assignment(text: str):
    with pytest.raises(click.BadParameter, match="expected KEY=VALUE"):
        split_assignments([text])


def test_a_broker_has_a_number():
    assert broker_id("7") == 7
    with pytest.raises(CommandError, match="expected a broker's id, or default for all"):
        broker_id("b1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["describe", "client", "x"], "'client' is not one of"),
        (["describe", "topic"], "Missing argument 'NAME'"),
        (["set", "topic", "t"], "Missing argument 'KEY=VALUE...'"),
        (["set", "topic", "t", "a"], "expected KEY=VALUE, found 'a'"),
        (["delete", "topic", "t"], "Missing argument 'KEY...'"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(capsys, arguments, words):
    assert main(["configs", *arguments]) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.err.count("\n") == 1
