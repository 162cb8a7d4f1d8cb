"""Put a known bug into a copy of the sources, and let the tests look for it.

The sources themselves are never touched: a mutant is a directory of its own, thrown away after.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from simulator.mutants.mutant import Mutant

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATCHES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "patches")
COPIED = ("wire", "log", "coordinator", "kbroker", "simulator", "tests", "pyproject.toml")
SEEDS = (sys.executable, "-m", "simulator.mutants.seeds")
NO_PROGRAM = ("NameError", "SyntaxError", "ImportError", "UnboundLocalError")
SECONDS_A_SEED = 2.0
SECONDS_A_CLUSTER = 8.0
SECONDS_TO_START = 60.0
MOST_SHOWN = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """`found_by` is the seed's or the scenario's command, "" where nothing was found."""

    mutant: Mutant
    found_by: str
    seeds: int
    """How many it took; 0 for a scenario."""
    failure: str


class PatchError(Exception):
    """A patch does not fit the sources any more; one line."""


def hunt(mutant: Mutant, patches: str = PATCHES) -> Verdict:
    """Look for the bug within the bound that the table gives. PatchError."""
    with mutated(mutant, patches) as directory:
        if mutant.scenario:
            return _play(mutant, directory)
        return _search(mutant, directory)


@contextmanager
def mutated(mutant: Mutant, patches: str = PATCHES) -> Iterator[str]:
    """A copy of the sources with the patch in it, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix=f"mutant-{mutant.name}-") as directory:
        for name in COPIED:
            source, target = os.path.join(ROOT, name), os.path.join(directory, name)
            if os.path.isdir(source):
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        apply_patch(mutant, directory, patches)
        yield directory


def apply_patch(
    mutant: Mutant, directory: str, patches: str = PATCHES, *, only_check: bool = False
) -> None:
    """`directory` holds the sources; it need not be under git. PatchError."""
    patch = os.path.join(patches, f"{mutant.name}.patch")
    command = ["git", "apply", *(["--check"] if only_check else []), patch]
    # Outside any repository: git would otherwise skip what is not in its index.
    environment = {**os.environ, "GIT_DIR": os.path.join(directory, "no-repository")}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PatchError(f"{mutant.name}: {done.stderr.strip()}")


def _search(mutant: Mutant, directory: str) -> Verdict:
    """Seeds, one after the other, until one fails; the same one must not fail without the bug."""
    a_seed_s = SECONDS_A_CLUSTER if mutant.is_cluster else SECONDS_A_SEED
    limit_s = SECONDS_TO_START + a_seed_s * mutant.seeds
    kind = ["cluster"] if mutant.is_cluster else []
    code, output = _run([*SEEDS, "0", str(mutant.seeds), *kind], directory, limit_s)
    lines = output.splitlines()
    if code is None:
        return Verdict(mutant, "a run that never ends", mutant.seeds, "hangs")
    if code != 1 or len(lines) < 2 or not lines[-2].isdigit():
        return Verdict(mutant, "", mutant.seeds, "" if code == 0 else output[-MOST_SHOWN:])
    seed = int(lines[-2])
    if lines[-1].startswith(NO_PROGRAM) or " NameError(" in lines[-1]:
        return Verdict(mutant, "", seed + 1, f"the patch makes no program: {lines[-1]}")
    code, output = _run([*SEEDS, str(seed), str(seed + 1), *kind], ROOT, SECONDS_TO_START)
    if code != 0:
        return Verdict(mutant, "", seed + 1, f"seed {seed} fails without the bug as well")
    option = " --cluster" if mutant.is_cluster else ""
    return Verdict(mutant, f"python -m simulator{option} --seed {seed}", seed + 1, lines[-1])


def _play(mutant: Mutant, directory: str) -> Verdict:
    """A directed scenario: tests that must fail now, and not because they cannot run."""
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", mutant.scenario]
    code, output = _run(command, directory, SECONDS_TO_START * 2)
    lines = [line for line in output.splitlines() if line.startswith(("FAILED", "E  "))]
    found = code == 1 and bool(lines)
    failure = lines[0] if found else output[-MOST_SHOWN:]
    return Verdict(mutant, mutant.scenario if found else "", 0, failure)


def _run(command: list[str], directory: str, limit_s: float) -> tuple[int | None, str]:
    """(exit status or None for a hang, what was printed). The copy comes before the checkout."""
    environment = {
        **os.environ,
        "PYTHONPATH": directory,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, ""
    # What is parsed stands alone; what went wrong otherwise explains itself.
    return done.returncode, done.stdout or done.stderr[-MOST_SHOWN:]
