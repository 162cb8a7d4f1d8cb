"""The image under test, in a container of its own for each broker, through Testcontainers.

`--target image` builds the image once (or takes the one that KBROKER_IMAGE names) and runs it as
users are told to: not as root, on a read-only root file system, without capabilities.
Where no Docker engine answers, everything is skipped by name.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker.models.containers import Container

ROOT = Path(__file__).resolve().parent.parent
IMAGE = os.environ.get("KBROKER_IMAGE", "kbroker:interop")
CLIENT_PORT = 9092
STOP_TIMEOUT_S = 10
LOOPBACK = "127.0.0.1"

# The container that removes containers has an image of its own, which not everybody can pull;
# ours are removed by the target itself.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")


class ImageTarget:
    """One container. Mutable: it exists from the first start to `remove`."""

    def __init__(self, directory: Path, settings: Mapping[str, str], port: int) -> None:
        self.address = f"{LOOPBACK}:{port}"
        self._port = port
        self._settings = settings
        self._log = directory / "broker.log"
        self._container: Container | None = None
        self._starts = 0

    def start(self) -> None:
        if self._container is None:
            self._container = self._create()
        else:
            self._container.start()
        self._starts += 1
        try:
            self._wait_until_ready(self._container)
        except BaseException:
            self.remove()
            raise

    def stop(self) -> None:
        self._existing().stop(timeout=STOP_TIMEOUT_S)

    def kill(self) -> None:
        container = self._existing()
        container.kill()
        container.wait(timeout=STOP_TIMEOUT_S)

    def remove(self) -> None:
        """Ends the container and removes it with its volume."""
        if self._container is not None:
            self._log.write_bytes(self._container.logs())
            self._container.remove(force=True, v=True)
            self._container = None

    def _create(self) -> Container:
        from testcontainers.core.container import DockerContainer

        described = DockerContainer(IMAGE).with_kwargs(
            read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges"]
        )
        # with_bind_ports would publish it on every interface.
        described.ports[f"{CLIENT_PORT}/tcp"] = (LOOPBACK, self._port)
        described.with_env("KAFKA_LISTENERS", f"PLAINTEXT://0.0.0.0:{CLIENT_PORT}")
        described.with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://{self.address}")
        for key, value in self._settings.items():
            described.with_env(environment_name(key), value)
        return described.start().get_wrapped_container()

    def _wait_until_ready(self, container: Container) -> None:
        """Follows what the broker prints: there is one ready line for each start."""
        seen = 0
        for line in container.logs(stream=True, follow=True):
            seen += line.startswith(b"kbroker is ready")
            if seen == self._starts:
                return
        raise AssertionError(f"the container ended: {container.logs().decode()}")

    def _existing(self) -> Container:
        assert self._container is not None, "the broker was never started"
        return self._container


def environment_name(key: str) -> str:
    """How the official image, and ours, names a key in the environment."""
    doubled = key.replace("_", "__").replace("-", "___")
    return f"KAFKA_{doubled.replace('.', '_').upper()}"


def why_no_image() -> str | None:
    """Builds the image, unless it is given; or says why it cannot be run here."""
    try:
        found = subprocess.run(["docker", "version"], capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return "there is no docker command"
    if found.returncode != 0:
        return "no Docker engine answers"
    if "KBROKER_IMAGE" in os.environ:
        return None
    built = subprocess.run(["tools/image/build", IMAGE], cwd=ROOT, capture_output=True, text=True)
    if built.returncode == 0:
        return None
    if os.environ.get("BASE_IMAGE"):
        raise AssertionError(f"the image cannot be built: {built.stderr}")
    last = (built.stderr.strip().splitlines() or ["?"])[-1]
    return f"the image cannot be built here (BASE_IMAGE names another base): {last}"
