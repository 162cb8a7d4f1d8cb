"""The kept inputs: `corpus/<target>/<name>`, each replayed first in every run.

What a run finds is stored as `found-<digest>`; it is no base for mutation, so that (seed, index)
goes on to name the same input. Once fixed it is committed under a name that says what it is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

DIRECTORY = Path(__file__).parent / "corpus"
FOUND = "found-"
MOST_BASES = 64


def stored(target: str) -> list[Path]:
    """The files of a target, by name."""
    directory = DIRECTORY / target
    return sorted(directory.iterdir()) if directory.is_dir() else []


def bases(target: str) -> list[bytes]:
    """What inputs of a target are made of, beside what its table generates."""
    paths = [path for path in stored(target) if not path.name.startswith(FOUND)]
    return [path.read_bytes() for path in paths[:MOST_BASES]]


def keep(target: str, data: bytes) -> Path:
    """Store what was found; its path."""
    directory = DIRECTORY / target
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{FOUND}{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path
