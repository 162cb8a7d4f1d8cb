"""kcat as a member of a group: `kcat -G` (see kcat.py). It commits by itself, and leaves when it is
interrupted.

It commits every five seconds, when partitions are taken from it, and as it leaves. The interval
cannot be set: kcat looks for a setting among the topic's first, and there is an old
auto.commit.interval.ms, which has no effect here.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import threading
from typing import IO, Any

from members import POLL_S
from protocol import ClientError, Received

ASSIGNED = re.compile(r"rebalanced.*: (?:assigned|incremental assignment)(.*)")
REVOKED = re.compile(r"rebalanced.*: (?:revoked|incremental revoke)(.*)")
PARTITION = re.compile(r"\[(\d+)\]")
RESETS = {"earliest": "earliest", "latest": "latest", "none": "error"}


class KcatMember:
    """One `kcat -G`. Mutable: what its output and its messages said."""

    def __init__(self, bootstrap: str, group: str, topic: str, options: dict[str, Any]) -> None:
        self.rebalances = 0
        self._is_cooperative = options["assignor"].startswith("cooperative")
        self._assigned: set[int] = set()
        self._records: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            _command(bootstrap, group, topic, options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._threads = [
            threading.Thread(target=self._read, args=[self._process.stdout], daemon=True),
            threading.Thread(target=self._listen, args=[self._process.stderr], daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, output: IO[bytes]) -> None:
        for line in output:
            record = json.loads(line)
            value = record["payload"]
            self._records.put(
                Received(
                    partition=record["partition"],
                    offset=record["offset"],
                    timestamp_ms=record["ts"],
                    key=None if record["key"] is None else record["key"].encode(),
                    value=None if value is None else value.encode(),
                )
            )

    def _listen(self, messages: IO[bytes]) -> None:
        """kcat says what it was given, and what was taken from it."""
        for line in messages:
            text = line.decode(errors="replace")
            print(text, end="", flush=True)
            if given := ASSIGNED.search(text):
                partitions = {int(number) for number in PARTITION.findall(given[1])}
                kept = self._assigned if self._is_cooperative else set()
                self._assigned = kept | partitions
                self.rebalances += 1
            elif taken := REVOKED.search(text):
                self._assigned = self._assigned - {
                    int(number) for number in PARTITION.findall(taken[1])
                }

    def poll(self) -> list[Received]:
        received = []
        try:
            received.append(self._records.get(timeout=POLL_S))
            while True:
                received.append(self._records.get_nowait())
        except queue.Empty:
            pass
        if not received and self._process.poll() is not None:
            raise ClientError("KCAT_ENDED", f"with {self._process.returncode}")
        return received

    def assignment(self) -> list[int]:
        return sorted(self._assigned)

    def commit(self) -> None:
        """It does so itself."""

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        for thread in self._threads:
            thread.join()


def _command(bootstrap: str, group: str, topic: str, options: dict[str, Any]) -> list[str]:
    settings = {
        "client.id": options["client_id"],
        "auto.offset.reset": RESETS[options["reset"]],
        "partition.assignment.strategy": options["assignor"],
        "session.timeout.ms": options["session_ms"],
        "heartbeat.interval.ms": options["heartbeat_ms"],
        # Where it notes no offsets, it has none to commit.
        "enable.auto.offset.store": "true" if options["commits"] else "false",
        "reconnect.backoff.max.ms": 500,
    }
    if options["instance"]:
        settings["group.instance.id"] = options["instance"]
    command = ["kcat", "-b", bootstrap, "-u", "-J", "-E"]
    for key, value in settings.items():
        command += ["-X", f"{key}={value}"]
    return [*command, "-G", group, topic]
