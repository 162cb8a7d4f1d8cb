"""Equal seeds give equal runs: in one process, in two, and whatever the order of sets is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.plan import Plan
from simulator.run import run

ROOT = Path(__file__).resolve().parent.parent.parent
SEEDS = (0, 3)
SHORT = (("safety_s", "25"),)
# The aiokafka client goes by the order of its own sets: its runs are equal for equal hash seeds.
OURS = (*SHORT, ("aiokafka", "false"))


def digests(settings: tuple[tuple[str, str], ...], hash_seed: str) -> list[str]:
    """Of the seeds, each run in the same new process."""
    changes = [word for name, text in settings for word in ("--set", f"{name}={text}")]
    command = [sys.executable, "-m", "simulator", "--seeds", f"0..{max(SEEDS) + 1}", "--digest"]
    done = subprocess.run(
        [*command, *changes],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = dict(line.split() for line in done.stdout.splitlines())
    return [lines[str(seed)] for seed in SEEDS]


def test_runs_of_a_seed_are_equal_in_one_process_and_in_another_with_other_hashes() -> None:
    here = [run(Plan.draw(seed, OURS)).digest for seed in SEEDS]
    assert [run(Plan.draw(seed, OURS)).digest for seed in SEEDS] == here
    # New processes are compared with each other: what other tests leave behind in this one (the
    # levels of loggers, which clients can ask for) is no part of a run.
    assert digests(OURS, "1") == digests(OURS, "2")
    assert len(set(here)) == len(SEEDS)


def test_the_unchanged_client_is_equal_with_equal_hashes() -> None:
    pytest.importorskip("aiokafka")
    settings = (*SHORT, ("aiokafka", "true"))
    found = digests(settings, "1")
    assert digests(settings, "1") == found
    assert not set(found) & {run(Plan.draw(seed, OURS)).digest for seed in SEEDS}  # it takes part
