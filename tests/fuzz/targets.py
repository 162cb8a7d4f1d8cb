"""The table of all targets, by name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache

from tests.fuzz.target import Target
from tests.fuzz.targets_cli import cli_targets
from tests.fuzz.targets_config import config_targets
from tests.fuzz.targets_disk import disk_targets
from tests.fuzz.targets_files import file_targets
from tests.fuzz.targets_kbroker import kbroker_targets
from tests.fuzz.targets_log import log_targets
from tests.fuzz.targets_wire import wire_targets


@cache
def all_targets() -> dict[str, Target]:
    """Made once: the messages alone are some hundreds."""
    found: dict[str, Target] = {}
    for target in (
        *wire_targets(),
        *log_targets(),
        *file_targets(),
        *kbroker_targets(),
        *config_targets(),
        *cli_targets(),
        *disk_targets(),
    ):
        assert target.name not in found, target.name
        found[target.name] = target
    return found


def matching(pattern: str | None) -> list[Target]:
    """Those whose name matches, with the wildcards of a shell; all of them for None."""
    return [
        target
        for name, target in all_targets().items()
        if pattern is None or fnmatchcase(name, pattern)
    ]
