"""Golden conversations with a group shard: every outcome is as it is written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.coordinator.conversation import CONVERSATIONS, Conversation, rewritten

FILES = sorted(CONVERSATIONS.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_conversation(path: Path) -> None:
    text = path.read_text()
    assert rewritten(text) == text, "python -m tests.coordinator.conversation --rewrite"


def test_every_conversation_says_what_it_is_about() -> None:
    assert len(FILES) >= 25
    for path in FILES:
        assert path.read_text().startswith("# "), path.name


def test_a_refusal_is_an_outcome_too() -> None:
    said = Conversation().run("heartbeat g member=m generation=1")
    assert said == ["refused UNKNOWN_MEMBER_ID"]


def test_rewriting_keeps_comments_and_replaces_outcomes() -> None:
    text = "# title\n\ndescribe g version=5\n----\nold\n\n# more\nlist\n----\nold\nold\n"
    assert rewritten(text) == (
        "# title\n\ndescribe g version=5\n----\n"
        "DescribedGroup NONE group_id=g group_state=Dead\n\n"
        "# more\nlist\n----\nnone\n"
    )
