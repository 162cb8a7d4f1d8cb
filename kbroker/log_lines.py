"""What is logged: to standard error, one line for each event, as text or as JSON.

In JSON the fields of an event (a topic, a partition, an epoch, an address) stand beside its
message: whoever logs gives them as `extra`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("plain", "json")
PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def parse_levels(texts: Iterable[str]) -> Mapping[str, str]:
    """The level of each logger, of `level` (all of them, the logger "") and `logger=level`.

    ValueError where that is no level. The later one counts.
    """
    levels = {"": "info"}
    for text in texts:
        name, _, level = text.rpartition("=")
        if level.lower() not in LEVELS:
            raise ValueError(f"{level!r} is not one of {', '.join(map(repr, LEVELS))}")
        levels[name] = level.lower()
    return levels


def configure(levels: Mapping[str, str], line_format: str) -> None:
    """Set up logging for this process; `line_format` is one of FORMATS."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(line_format))
    logging.basicConfig(level=levels[""].upper(), handlers=[handler], force=True)
    for name, level in levels.items():
        if name:
            logging.getLogger(name).setLevel(level.upper())


def formatter(line_format: str) -> logging.Formatter:
    """Of one of FORMATS."""
    if line_format == "plain":
        return logging.Formatter(PLAIN)
    # Imported here: it takes a while, and most do without.
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        "{levelname}{name}{message}",
        style="{",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )
