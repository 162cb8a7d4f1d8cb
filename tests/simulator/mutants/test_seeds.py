"""The search for the first seed that fails."""

import subprocess
import sys

from simulator.mutants.harness import ROOT


def test_seeds_that_pass_end_with_0_and_say_nothing() -> None:
    command = [sys.executable, "-m", "simulator.mutants.seeds", "0", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
