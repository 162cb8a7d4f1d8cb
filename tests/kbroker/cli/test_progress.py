"""The progress bar: for a terminal, and for nobody else. A real one: tests/process/test_cli."""

import io
import sys

import pytest

from kbroker.cli.progress import progress


class Terminal:
    """Standard error as a terminal has it."""

    def __init__(self) -> None:
        self.text = io.StringIO()
        self.encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return self.text.write(text)

    def flush(self) -> None:
        pass


def test_nothing_is_shown_where_standard_error_is_no_terminal(capsys):
    with progress("work", total=10) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("total", [10, None])
@pytest.mark.parametrize("in_bytes", [True, False])
def test_a_terminal_sees_a_bar(monkeypatch, total, in_bytes):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress("work [x]", total=total, in_bytes=in_bytes) as advance:
        advance(5)
    assert "work [x]" in terminal.text.getvalue()


def test_a_terminal_that_shows_the_output_itself_sees_none(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("work", total=10, wanted=False) as advance:
        advance(5)
    assert terminal.text.getvalue() == ""
