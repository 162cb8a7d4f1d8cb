"""The seeds that have found something: `corpus.txt`, one command a line, and what it found.

Options have chances of their own, so that a seed still does most of what it did then after options
were added. What it found has a test of its own besides.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from simulator.plan import Plan

FILE = Path(__file__).resolve().parent / "corpus.txt"


def read_corpus(text: str) -> Iterator[tuple[Plan, str]]:
    """Each plan with its sentence. ValueError: a line that is none."""
    for number, line in enumerate(text.splitlines(), 1):
        words, _, sentence = line.partition("#")
        if not words.strip():
            continue
        if not sentence.strip():
            raise ValueError(f"line {number} does not say what its seed found")
        yield parse_plan(shlex.split(words)), sentence.strip()


def parse_plan(words: list[str]) -> Plan:
    """A plan from `--seed N --set name=value --without part`, in any order. ValueError."""
    is_cluster = "--cluster" in words
    words = words[words.index("--seed") :] if "--seed" in words else words
    seed: int | None = None
    settings: list[tuple[str, str]] = []
    without: set[str] = set()
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "--seed":
            seed = int(value)
        elif option == "--set":
            name, _, text = value.partition("=")
            settings.append((name, text))
        elif option == "--without":
            without.add(value)
        else:
            raise ValueError(f"{option} is no part of a plan")
    if seed is None:
        raise ValueError("a plan begins with --seed")
    return Plan.draw(seed, tuple(settings), frozenset(without), is_cluster=is_cluster)
