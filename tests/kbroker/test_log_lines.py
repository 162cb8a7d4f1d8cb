"""What a line of the log looks like, and whose lines are told."""

import json
import logging
import sys

import pytest

from kbroker.log_lines import formatter, parse_levels


def record(message: str, *arguments: object, **options: object) -> logging.LogRecord:
    return logging.getLogger("kbroker.x").makeRecord(
        "kbroker.x", logging.INFO, "x.py", 1, message, arguments, **options
    )


def test_levels_of_all_and_of_some():
    assert parse_levels([]) == {"": "info"}
    assert parse_levels(["warning", "kbroker.replication=DEBUG"]) == {
        "": "warning",
        "kbroker.replication": "debug",
    }
    assert parse_levels(["debug", "error"]) == {"": "error"}


@pytest.mark.parametrize("text", ["loud", "kbroker=loud", "=", ""])
def test_a_level_that_is_none(text):
    with pytest.raises(ValueError, match="is not one of 'debug', 'info'"):
        parse_levels([text])


def test_json_is_one_object_in_one_line_with_the_fields_of_the_event():
    extra = {"topic": "orders", "partition": 3, "leader_epoch": 7}
    line = formatter("json").format(
        record("%s-%d is led here", "orders", 3, exc_info=None, extra=extra)
    )
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "INFO",
        "logger": "kbroker.x",
        "message": "orders-3 is led here",
        **extra,
    }


def test_a_traceback_stays_within_the_line_of_json():
    try:
        raise OSError(28, "No space left on device")
    except OSError:
        line = formatter("json").format(record("it failed", exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "No space left on device" in json.loads(line)["exc_info"]


def test_plain_lines_are_for_people():
    line = formatter("plain").format(record("stopped", exc_info=None))
    assert line.endswith("INFO kbroker.x: stopped")
