"""Every recorded exchange, replayed on kbroker: it answers what Apache Kafka answered.

What may differ stands in `tools.record.deviations`. To record anew: `python -m tools.record`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.record.deviations import DEVIATIONS, Deviation
from tools.record.golden import file_name, read_golden
from tools.record.replay import differences, play
from tools.record.scenarios import SCENARIOS
from tools.record.settings import SETTINGS

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "exchanges" / "golden"
LEAST_EXCHANGES = 3000


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The address of a broker started as a user starts it, on fresh data."""
    directory = tmp_path_factory.mktemp("replay")
    command = [sys.executable, "-m", "kbroker", "--listen", "127.0.0.1:0"]
    command += ["--data", str(directory / "data")]
    for key, value in SETTINGS.items():
        command += ["--set", f"{key}={value}"]
    with (directory / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        assert process.stdout is not None
        yield _address(process.stdout, directory / "stderr")
    finally:
        process.terminate()
        process.wait(timeout=30)


def _address(lines: Iterator[str], errors: Path) -> tuple[str, int]:
    """Read on to the line that names the address."""
    for line in lines:
        for word in line.replace(",", " ").split():
            host, _, port = word.rpartition(":")
            if host == "127.0.0.1" and port.isdecimal():
                return host, int(port)
    raise AssertionError(f"the broker did not start: {errors.read_text()}")


@pytest.fixture(scope="session")
def needed() -> dict[str, set[Deviation]]:
    """The deviations that each scenario played so far needed."""
    return {}


@pytest.mark.parametrize("name", SCENARIOS)
def test_kbroker_answers_as_apache_kafka_did(
    name: str, broker: tuple[str, int], needed: dict[str, set[Deviation]]
) -> None:
    golden = (GOLDEN / file_name(name)).read_text()

    exchanges = play(SCENARIOS[name], *broker)

    found, needed[name] = differences(name, exchanges, golden, DEVIATIONS)
    if found:
        head = f"{name}: {len(found)} of {len(exchanges)} differ"
        pytest.fail("\n".join([head, *found]), pytrace=False)


def test_every_deviation_is_still_needed(needed: dict[str, set[Deviation]]) -> None:
    if needed.keys() != SCENARIOS.keys():
        pytest.skip("only some of the scenarios were played here")

    unneeded = set(DEVIATIONS).difference(*needed.values())

    assert not unneeded


def test_the_golden_files_are_those_of_the_scenarios() -> None:
    files = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*.txt")}

    assert files == {file_name(name) for name in SCENARIOS}


def test_enough_is_recorded() -> None:
    count = sum(len(read_golden(path.read_text())) for path in GOLDEN.rglob("*.txt"))

    assert count >= LEAST_EXCHANGES
