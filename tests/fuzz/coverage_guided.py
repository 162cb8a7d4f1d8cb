"""Coverage-guided fuzzing with atheris, which is optional: it grows the corpus.

`grow` gives each target a process of its own (libFuzzer ends with its process), which begins with
generated inputs and what is kept; of what it finds the few that cover more are kept, if small.
Run as a module it is that process: `python -m tests.fuzz.coverage_guided TARGET DIRECTORY [flags]`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from tests.fuzz import corpus

ROOT = Path(__file__).resolve().parent.parent.parent
HOW_TO_INSTALL = "atheris is not installed: .venv/bin/python -m pip install atheris"
GROWN = "grown-"
SEEDS = 20
MOST_KEPT = 20
"""Files of one target that this adds, at the most; the smallest ones."""
MOST_BYTES = 700
PACKAGES = ["wire", "log", "coordinator", "kbroker"]
MESSAGE = ".v"
"""In the names of targets that are messages: their decoders are compiled, and not followed."""


def is_installed() -> bool:
    return importlib.util.find_spec("atheris") is not None


def grow(targets: list[str], *, seconds: int, say: Callable[[str], None]) -> int:
    """Fuzz each for its share of the time; how many failed."""
    names = [name for name in targets if MESSAGE not in name] or targets
    share = max(2, seconds // len(names))
    failures = 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix="kbroker-atheris-") as directory:
            found, least = Path(directory) / "found", Path(directory) / "least"
            found.mkdir()
            least.mkdir()
            for number, data in enumerate(starting_points(name)):
                (found / f"start-{number}").write_bytes(data)
            flags = [f"-max_total_time={share}", "-max_len=4096", "-verbosity=0"]
            status, output = run(name, [str(found), *flags], Path(directory))
            if status:
                failures += 1
                for path in Path(directory).glob("crash-*"):
                    kept = corpus.keep(name, path.read_bytes())
                    say(f"fuzz: {name} failed, kept as {kept.relative_to(ROOT)}\n{output[-3000:]}")
                continue
            run(name, ["-merge=1", str(least), str(found)], Path(directory))
            say(f"fuzz: {name}: {keep_small(name, least)} kept")
    return failures


def run(name: str, arguments: list[str], directory: Path) -> tuple[int, str]:
    """One process of libFuzzer; its status and what it said."""
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", name, *arguments]
    places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stderr + ended.stdout


def starting_points(name: str) -> Iterator[bytes]:
    from tests.fuzz.targets import all_targets

    chance = Random(name)
    make = all_targets()[name].make
    yield from (make(chance).data for _ in range(SEEDS))
    yield from corpus.bases(name)


def keep_small(name: str, found: Path) -> int:
    """Copy the smallest of the least set into the corpus, in place of what was grown before."""
    directory = corpus.DIRECTORY / name
    for path in corpus.stored(name):
        if path.name.startswith(GROWN):
            path.unlink()
    inputs = sorted((path.read_bytes() for path in found.iterdir()), key=lambda data: len(data))
    kept = [data for data in inputs if data and len(data) <= MOST_BYTES][:MOST_KEPT]
    for data in kept:
        directory.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(data).hexdigest()[:12]
        (directory / f"{GROWN}{digest}").write_bytes(data)
    if directory.is_dir() and not any(directory.iterdir()):
        shutil.rmtree(directory)
    return len(kept)


def main(arguments: list[str]) -> None:
    """The process of one target."""
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz.targets import all_targets

    name, *flags = arguments
    target = all_targets()[name]

    def try_one(data: bytes) -> None:
        with contextlib.suppress(*target.allowed):
            target.check(data)

    # libFuzzer runs this again to merge, by a shell.
    again = f"{sys.executable} -m tests.fuzz.coverage_guided {name}"
    atheris.Setup([again, *flags], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
