"""`python -m tools.record`: play the scenarios against Apache Kafka and write the golden files.

python -m tools.record                      all, on an Apache Kafka that it starts and stops
python -m tools.record 'produce/*'          only these
python -m tools.record --broker HOST:PORT   on a broker that runs already, with SETTINGS
python -m tools.record --check ...          write nothing, show what differs
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from socket import create_server

from tools.record.deviations import DEVIATIONS
from tools.record.golden import file_name, read_golden, write_golden
from tools.record.prepare import prepare
from tools.record.replay import differences, play
from tools.record.scenarios import SCENARIOS
from tools.record.settings import SETTINGS

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "exchanges" / "golden"
KAFKA = ROOT / "tools" / "apache-kafka" / "kafka"


def main() -> int:
    """0 when everything was recorded, or nothing differed."""
    parser = argparse.ArgumentParser(prog="python -m tools.record", description=__doc__)
    parser.add_argument("scenarios", nargs="*", default=["*"], help="names, * for any")
    parser.add_argument("--broker", metavar="HOST:PORT", help="a broker that runs already")
    parser.add_argument("--check", action="store_true", help="compare only")
    options = parser.parse_args()
    names = [
        name
        for name in SCENARIOS
        if any(fnmatchcase(name, pattern) for pattern in options.scenarios)
    ]
    if options.broker:
        return _play_all(options.broker, names, check=options.check)
    with _apache_kafka() as address:
        return _play_all(address, names, check=options.check)


def _play_all(address: str, names: list[str], *, check: bool) -> int:
    host, _, port = address.rpartition(":")
    prepare(host, int(port))
    count = 0
    differing = 0
    for name in names:
        scenario = SCENARIOS[name]
        exchanges = play(scenario, host, int(port))
        count += len(exchanges)
        path = GOLDEN / file_name(name)
        text = write_golden(scenario.__doc__ or "", exchanges)
        assert len(read_golden(text)) == len(exchanges), f"{name}: titles are not unique"
        if check:
            found, _ = differences(name, exchanges, path.read_text(), DEVIATIONS)
            differing += len(found)
            sys.stdout.write("".join(f"{name}: {text}\n" for text in found))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    sys.stdout.write(f"{count} exchanges in {len(names)} scenarios, {differing} differ\n")
    return 1 if differing else 0


@contextmanager
def _apache_kafka() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="record-") as directory:
        settings = [f"{key}={value}" for key, value in SETTINGS.items()]
        command = [str(KAFKA), "start", directory, str(_free_port()), *settings]
        started = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        try:
            yield started.stdout.split()[-1]
        finally:
            subprocess.run([str(KAFKA), "kill", directory], check=True)


def _free_port() -> int:
    """A port that is free, with the one above it, which the controller takes."""
    while True:
        with create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            try:
                create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
            return int(port)


if __name__ == "__main__":
    sys.exit(main())
