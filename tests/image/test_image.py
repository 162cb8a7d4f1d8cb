"""The image as a user runs it: who it runs as, what it may write, how it is told what to do.

Needs a Docker engine, and a base image that it has or can pull (BASE_IMAGE names another); skips by
name without. Real clients against the image: `python -m pytest interop_tests --target image`.
"""

import json
import os
import re
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from subprocess import PIPE

import pytest

from interop_tests.image_target import IMAGE, environment_name, why_no_image

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_MEGABYTES = 60
"""Compressed, over the base."""
SAFE = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="session")
def engine() -> None:
    """The image is built, or the tests are skipped."""
    missing = why_no_image()
    if missing is not None:
        pytest.skip(missing)


def docker(*arguments: str, status: int = 0) -> str:
    """What `docker ARGUMENTS` prints, standard error included."""
    done = subprocess.run(["docker", *arguments], stdout=PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == status, done.stdout
    return done.stdout.strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Container:
    """One container that runs, until `remove`."""

    def __init__(self, *arguments: str, command: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self.id = docker(
            *("run", "--detach", *SAFE, "--publish", f"127.0.0.1:{self.port}:9092"),
            *("--env", f"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:{self.port}"),
            *(*arguments, IMAGE, *command),
        )

    def wait_until_ready(self) -> "Container":
        logs = subprocess.Popen(["docker", "logs", "--follow", self.id], stdout=PIPE, text=True)
        assert logs.stdout is not None
        with logs:
            ready = any(line.startswith("kbroker is ready") for line in logs.stdout)
            logs.terminate()
        assert ready, docker("logs", self.id)
        return self

    def tool(self, *arguments: str) -> str:
        """The output of a kbroker command on this host."""
        command = [sys.executable, "-m", "kbroker", *arguments]
        command += ["--bootstrap", f"127.0.0.1:{self.port}"]
        return subprocess.run(command, cwd=ROOT, stdout=PIPE, text=True, check=True).stdout

    def stop(self, *, within_s: int) -> int:
        """SIGTERM, then SIGKILL after `within_s`; the exit status, 137 if it had to be killed."""
        docker("stop", "--time", str(within_s), self.id)
        return int(docker("inspect", "--format", "{{.State.ExitCode}}", self.id))

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "--force", "--volumes", self.id], capture_output=True)


@pytest.fixture
def start(engine):
    """Starts containers, and removes them in the end."""
    made = []

    def run(*arguments: str, command: tuple[str, ...] = ()) -> Container:
        made.append(Container(*arguments, command=command))
        return made[-1]

    yield run
    for container in made:
        container.remove()


@pytest.mark.skipif("KBROKER_IMAGE" in os.environ, reason="the image was given, not built here")
def test_it_is_small(engine):
    built = subprocess.run(
        ["tools/image/build", IMAGE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = re.search(r"([\d.]+) MB over", built.stdout)
    assert found is not None, built.stdout
    assert float(found[1]) < MOST_MEGABYTES


def test_it_serves_on_a_read_only_root_file_system_and_not_as_root(start):
    container = start().wait_until_ready()
    assert docker("exec", container.id, "id", "-u") == "1000"
    container.tool("topics", "create", "greetings")
    assert "greetings" in container.tool("topics", "list")


def test_it_stops_within_a_second_and_cleanly(start):
    container = start().wait_until_ready()
    assert container.stop(within_s=1) == 0
    assert docker("logs", container.id).endswith("kbroker.broker: stopped")


def test_its_health_check_passes_while_it_serves(start):
    container = start().wait_until_ready()
    check = json.loads(docker("inspect", "--format", "{{json .Config.Healthcheck.Test}}", IMAGE))
    assert check[0] == "CMD"
    assert docker("exec", container.id, *check[1:]) == "the broker at 127.0.0.1:9092 serves"


def test_its_health_check_follows_the_listeners_and_fails_without_a_broker(engine):
    check = docker(
        *("run", "--rm", "--env", "KAFKA_LISTENERS=PLAINTEXT://0.0.0.0:7777", IMAGE, "health"),
        status=1,
    )
    assert "no broker answers at 127.0.0.1:7777" in check


def test_variables_are_keys_as_in_the_official_image(start):
    container = start("--env", "KAFKA_NUM_PARTITIONS=3").wait_until_ready()
    container.tool("topics", "create", "three")
    described = json.loads(container.tool("topics", "describe", "three", "--json"))
    assert len(described[0]["partitions"]) == 3


def test_a_variable_that_is_no_key_is_refused_in_one_line(engine):
    refusal = docker("run", "--rm", "--env", "KAFKA_NUM_PARTITONS=3", IMAGE, status=2)
    assert refusal.startswith("kbroker: environment variable KAFKA_NUM_PARTITONS: ")
    assert len(refusal.splitlines()) == 1


def test_a_properties_file_that_is_mounted(start, tmp_path):
    file = tmp_path / "server.properties"
    file.write_text("num.partitions=2\n")
    file.chmod(0o644)
    container = start("--volume", f"{file}:/etc/kbroker/server.properties:ro").wait_until_ready()
    container.tool("topics", "create", "two")
    described = json.loads(container.tool("topics", "describe", "two", "--json"))
    assert len(described[0]["partitions"]) == 2


def test_data_lives_in_a_volume_that_outlives_the_container(start):
    volume = f"kbroker-test-{uuid.uuid4().hex}"
    mount = ("--volume", f"{volume}:/var/lib/kbroker/data")
    first = start(*mount).wait_until_ready()
    first.tool("topics", "create", "kept")
    assert first.stop(within_s=1) == 0
    second = start(*mount).wait_until_ready()
    assert "kept" in second.tool("topics", "list")
    for container in (first, second):
        container.remove()
    docker("volume", "rm", volume)


def test_arguments_are_those_of_kbroker(start):
    container = start(command=("--dev",)).wait_until_ready()
    assert "page cache" in docker("logs", container.id)


def test_names_of_variables():
    assert environment_name("log.retention.ms") == "KAFKA_LOG_RETENTION_MS"
    assert environment_name("with_underscore") == "KAFKA_WITH__UNDERSCORE"
    assert environment_name("with-dash") == "KAFKA_WITH___DASH"
