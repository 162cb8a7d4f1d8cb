"""What follows from the settings of a log."""

from __future__ import annotations

from log.log_config import LogConfig


def test_only_compaction_leaves_holes() -> None:
    for policy, may_have_holes in (
        ({"delete"}, False),
        (set(), False),
        ({"compact"}, True),
        ({"compact", "delete"}, True),
    ):
        config = LogConfig(cleanup_policy=frozenset(policy))
        assert config.may_have_holes is may_have_holes
