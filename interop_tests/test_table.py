"""The table in docs/interop.md has every scenario and client, and none that is gone."""

from __future__ import annotations

import subprocess
import sys

from interop_tests.targets import ROOT


def test_interop_table_is_not_stale() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "interop_tests",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "--check-table", "docs/interop.md"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
