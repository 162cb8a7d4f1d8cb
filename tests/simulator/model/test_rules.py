"""The rules have a name, a section of the design and a sentence each, and the document says so."""

import re
from pathlib import Path

from simulator.model.rules import ALL_RULES, Rule

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "MODEL.md"


def test_a_rule_is_its_name_and_says_what_it_demands() -> None:
    assert Rule("maximal-isr") is Rule.MAXIMAL_ISR
    assert Rule.MAXIMAL_ISR in ALL_RULES
    for rule in Rule:
        assert rule == rule.name.lower().replace("_", "-")
        assert re.fullmatch(r"\d(\.\d+)?", rule.section)
        assert re.fullmatch(r"[A-Z][^.]*(\.[a-z][^.]*)*\.", rule.sentence)


def test_the_document_has_each_rule_in_its_words() -> None:
    rows = [f"| `{rule}` | {rule.section} | {rule.sentence} |" for rule in Rule]
    lines = DOCUMENT.read_text().splitlines()
    assert [line for line in lines if line.startswith("| `")] == rows
