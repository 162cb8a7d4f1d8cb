"""Lines and options of `kbroker produce`. Sending: tests/process/test_cli."""

import io
from pathlib import Path

import click
import pytest

from kbroker.__main__ import main
from kbroker.cli.connection import CommandError
from kbroker.cli.produce import parse, read_lines, split_headers, total_bytes, unescape
from kbroker.cli.record_lines import read_json_line


def test_lines_lose_their_ends_and_know_their_place():
    sizes: list[int] = []
    inputs = [("-", io.BytesIO(b"a\nb\r\n\n")), ("f", io.BytesIO(b"last"))]
    assert list(read_lines(inputs, sizes.append)) == [
        (b"a", "standard input, line 1"),
        (b"b", "standard input, line 2"),
        (b"", "standard input, line 3"),
        (b"last", "f, line 1"),
    ]
    assert sizes == [2, 3, 1, 4]


def test_a_line_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kbroker.cli.produce.MOST_REQUEST_BYTES", 1 << 20)
    stream = io.BytesIO(b"x\n" + bytes(3 << 20))
    lines = read_lines([("f", stream)], lambda size: None)
    assert next(lines) == (b"x", "f, line 1")
    with pytest.raises(CommandError, match="f, line 2: longer than 1 MiB"):
        next(lines)
    assert stream.tell() == 2 + (1 << 20) + 1


@pytest.mark.parametrize(
    ("typed", "separator"),
    [
        (":", b":"),
        ("\\t", b"\t"),
        ("a\\nb", b"a\nb"),
        ("\\0", b"\0"),
        ("\\\\", b"\\"),
        ("\\x", b"\\x"),
        ("\\", b"\\"),
        ("é", "é".encode()),
    ],
)
def test_separators_as_typed(typed: str, separator: bytes):
    assert unescape(typed) == separator


def test_an_empty_separator_is_none():
    with pytest.raises(click.BadParameter, match="is empty"):
        unescape("")


def test_headers():
    assert split_headers(["a=1", "b=", "c=x=y"]) == (("a", b"1"), ("b", b""), ("c", b"x=y"))
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        split_headers(["a"])


def test_a_line_that_is_no_record_is_named():
    with pytest.raises(CommandError, match="f, line 3: not JSON"):
        parse(read_json_line, b"{", "f, line 3")


def test_how_much_there_is_to_read(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"12345")
    with (tmp_path / "a").open("rb") as one, (tmp_path / "a").open("rb") as other:
        assert total_bytes([one, other]) == 10
    with open("/dev/null", "rb") as device:
        assert total_bytes([device]) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument 'TOPIC'"),
        (["t", "--codec", "zip"], "'zip' is not one of"),
        (["t", "--acks", "2"], "'2' is not one of"),
        (["t", "--acks", "1", "--idempotent"], "--idempotent needs --acks all"),
        (["t", "-f", "/no/such/file"], "'/no/such/file' does not exist"),
        (["t", "--format", "json", "-k", ":"], "--key-separator is for --format lines"),
        (["t", "-H", "x"], "expected NAME=VALUE, found 'x'"),
        (["t", "--bootstrap", "here"], "expected HOST:PORT, found 'here'"),
        (["t", "--bootstrap", "h:1,h:0"], "expected HOST:PORT, found 'h:0'"),
        (["t", "--timeout", "0"], "'--timeout'"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(capsys, arguments, words):
    assert main(["produce", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert shown.err.count("\n") == 1
