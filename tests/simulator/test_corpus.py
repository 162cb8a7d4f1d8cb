"""The corpus: commands, each with what it found."""

import pytest

from simulator.corpus import FILE, parse_plan, read_corpus
from simulator.plan import Plan


def test_the_corpus_can_be_read() -> None:
    for plan, sentence in read_corpus(FILE.read_text()):
        assert plan.seed >= 0
        assert sentence.endswith(".")


def test_a_line_is_a_command_and_a_sentence() -> None:
    text = "# said first\n\npython -m simulator --seed 3 --set partitions=1  # It lost a record.\n"
    assert list(read_corpus(text)) == [(Plan.draw(3, (("partitions", "1"),)), "It lost a record.")]


@pytest.mark.parametrize("line", ["--seed 3", "--sed 3 # x", "--set a=1 # x", "--seed # x"])
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(ValueError):
        list(read_corpus(line))


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match="no part of a plan"):
        parse_plan(["--seed", "1", "--jobs", "2"])
