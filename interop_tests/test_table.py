"""The table in docs/interop.md has every scenario and client, and none that is gone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from interop_tests.targets import ROOT


def test_interop_table_is_not_stale(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-table"):
        return  # the end of this run writes it
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
