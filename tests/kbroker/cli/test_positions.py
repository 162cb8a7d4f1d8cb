"""Places to read from, as they are typed and where they fall."""

from datetime import UTC, datetime

import pytest

from kbroker.cli.positions import Kind, Position, choose, milliseconds, parse_position, time_text


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("beginning", Position(Kind.BEGINNING)),
        ("earliest", Position(Kind.BEGINNING)),
        ("End", Position(Kind.END)),
        ("latest", Position(Kind.END)),
        ("0", Position(Kind.OFFSET, 0)),
        ("17", Position(Kind.OFFSET, 17)),
        ("-5", Position(Kind.BACK, 5)),
        ("@1700000000000", Position(Kind.TIME, 1_700_000_000_000)),
        ("2023-11-14T22:13:20Z", Position(Kind.TIME, 1_700_000_000_000)),
        ("2023-11-14T23:13:20.5+01:00", Position(Kind.TIME, 1_700_000_000_500)),
    ],
)
def test_what_is_typed(text: str, position: Position):
    assert parse_position(text) == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        "begin",
        "@",
        "@x",
        "--1",
        "1.5",
        "9223372036854775808",
        "@-1",
        "1960-01-01",
        "2023-13-01",
    ],
)
def test_what_is_no_place_says_what_would_be(text: str):
    with pytest.raises(ValueError, match="is none of: beginning, end, an OFFSET"):
        parse_position(text)


def test_a_time_without_a_zone_is_local():
    local = datetime(2023, 11, 14, 12).astimezone()
    assert milliseconds("2023-11-14T12:00") == local.timestamp() * 1000


@pytest.mark.parametrize(
    ("position", "at_time", "offset"),
    [
        (Position(Kind.BEGINNING), -1, 10),
        (Position(Kind.END), -1, 20),
        (Position(Kind.OFFSET, 15), -1, 15),
        (Position(Kind.OFFSET, 3), -1, 10),
        (Position(Kind.OFFSET, 99), -1, 20),
        (Position(Kind.BACK, 2), -1, 18),
        (Position(Kind.BACK, 99), -1, 10),
        (Position(Kind.TIME, 1), 12, 12),
        (Position(Kind.TIME, 1), -1, 20),
    ],
)
def test_a_place_falls_within_what_the_partition_holds(position, at_time, offset):
    assert choose(position, 10, 20, at_time) == offset


def test_times_are_shown_in_utc_and_come_back():
    text = time_text(1_700_000_000_007)
    assert text == "2023-11-14T22:13:20.007Z"
    assert milliseconds(text) == 1_700_000_000_007
    assert time_text(0) == datetime.fromtimestamp(0, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.parametrize("timestamp", [-1, 1 << 62])
def test_no_time_is_shown_as_none(timestamp: int):
    assert time_text(timestamp) is None
