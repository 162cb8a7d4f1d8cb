"""One soak: a real broker, real clients, faults for so many seconds, then peace and judgement.

The seed fixes the load and the faults, not the moments at which they meet: a failure may need
several runs of its command.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.process.raw_client import RawClient
from tests.soak import aiokafka_load, confluent_load
from tests.soak.failing_disk import FailingDisk
from tests.soak.faults import draw
from tests.soak.scene import GROUPS, PARTITIONS, TOPIC, Scene
from tests.soak.station import Station, StationError, free_port

HEAL_S = 90.0
"""After the last fault: every send has its answer, every group is at the end."""
PEACE_S = (0.5, 3.0)
"""Between two faults."""
MEMBER_S = (3.0, 15.0)
"""How long a member stays."""
MEMBERS = 3
"""Of each group: one that stays, the others come and go."""
TOLD_EVENTS = 60
TOLD_ANOMALIES = 20


class SoakError(Exception):
    """Something was lost, or did not finish. The message explains it."""


@dataclass
class Clients:
    """The threads of all clients. Mutable."""

    scene: Scene
    seed: int
    writers: list[threading.Thread] = field(default_factory=list)
    readers: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for number in range(2):
            name = f"confluent-{number}"
            self._thread(self.writers, confluent_load.produce, name, self._chance(name))
        self._thread(self.readers, confluent_load.read, "confluent-reader", self._chance("r"))
        for number in range(MEMBERS):
            self._thread(self.readers, self._confluent_member, f"confluent-member-{number}", number)
        self._thread(self.writers, self._run_loop, "aiokafka-writers", self._aiokafka_writers)
        self._thread(self.readers, self._run_loop, "aiokafka-readers", self._aiokafka_readers)

    def stop_sending(self, deadline: float) -> None:
        self.scene.stop_sending.set()
        self._join(self.writers, deadline)

    def stop_reading(self, deadline: float) -> None:
        self.scene.stop_reading.set()
        self._join(self.readers, deadline)

    def _join(self, threads: list[threading.Thread], deadline: float) -> None:
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise SoakError(f"{thread.name} does not finish")

    def _thread(self, among: list[threading.Thread], run: Callable, name: str, *more) -> None:  # type: ignore[no-untyped-def, type-arg]
        def guarded() -> None:
            try:
                run(self.scene, name, *more)
            except BaseException as error:
                self.scene.broken.append(f"{name}: {error!r}")
                raise

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        among.append(thread)
        thread.start()

    def _chance(self, name: str) -> random.Random:
        return random.Random(f"{self.seed}/{name}")

    def _stays(self, chance: random.Random, number: int) -> Callable[[], bool]:
        """Whether a member is to leave by now. The first stays until all is over."""
        until = time.monotonic() + chance.uniform(*MEMBER_S)
        over = self.scene.stop_reading.is_set
        return over if number == 0 else lambda: over() or time.monotonic() > until

    def _confluent_member(self, scene: Scene, name: str, number: int) -> None:
        chance = self._chance(name)
        generation = 0
        while not scene.stop_reading.is_set():
            to_leave = self._stays(chance, number)
            confluent_load.be_a_member(scene, f"{name}.{generation}", to_leave)
            generation += 1
            scene.stop_reading.wait(chance.uniform(0.0, 3.0))

    def _run_loop(self, scene: Scene, name: str, main: Callable) -> None:  # type: ignore[type-arg]
        aiokafka_load.silence()
        asyncio.run(main())

    async def _aiokafka_writers(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for name, idempotent in (("aiokafka-idempotent", True), ("aiokafka-plain", False)):
                chance = self._chance(name)
                tasks.create_task(
                    aiokafka_load.produce(self.scene, name, chance, idempotent=idempotent)
                )

    async def _aiokafka_readers(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(aiokafka_load.read(self.scene, "aiokafka-reader"))
            for number in range(MEMBERS):
                tasks.create_task(self._aiokafka_member(f"aiokafka-member-{number}", number))

    async def _aiokafka_member(self, name: str, number: int) -> None:
        chance = self._chance(name)
        generation = 0
        while not self.scene.stop_reading.is_set():
            to_leave = self._stays(chance, number)
            await aiokafka_load.be_a_member(self.scene, f"{name}.{generation}", to_leave)
            generation += 1
            await asyncio.sleep(chance.uniform(0.0, 3.0))


def soak(
    *,
    seconds: float,
    seed: int,
    directory: Path,
    with_disk: bool,
    progress: Callable[[str], None],
) -> Counter[str]:
    """What happened, counted. SoakError."""
    scene = Scene(("127.0.0.1", free_port()))
    with ExitStack() as stack:
        data = directory / "disk"
        disk = stack.enter_context(FailingDisk(data)) if with_disk else None
        station = Station(data, scene, disk)
        stack.callback(station.close)
        try:
            _run(scene, station, seconds, seed, progress)
        except (StationError, SoakError, AssertionError) as error:
            raise SoakError(explain(error, scene, station)) from error
    return scene.counts


def _run(
    scene: Scene, station: Station, seconds: float, seed: int, progress: Callable[[str], None]
) -> None:
    station.start()
    with RawClient(scene.address) as client:
        client.create_topic(TOPIC, partitions=PARTITIONS)
    clients = Clients(scene, seed)
    clients.start()
    end = time.monotonic() + seconds
    _make_trouble(scene, station, random.Random(f"{seed}/faults"), end, progress)
    scene.note("healed")
    deadline = time.monotonic() + HEAL_S
    clients.stop_sending(deadline)
    station.check()
    _wait_for_groups(scene, deadline)
    clients.stop_reading(deadline + HEAL_S)
    if scene.broken:
        raise SoakError("; ".join(scene.broken))
    _judge(scene)
    station.terminate()
    station.start()
    _judge(scene)
    station.terminate()


def _make_trouble(
    scene: Scene,
    station: Station,
    chance: random.Random,
    end: float,
    progress: Callable[[str], None],
) -> None:
    faults = draw(chance, with_disk=station.disk is not None)
    while time.monotonic() < end:
        peace_end = time.monotonic() + chance.uniform(*PEACE_S)
        while time.monotonic() < min(peace_end, end):
            progress(scene.progress())
            time.sleep(0.25)
        station.check()
        if scene.broken:
            raise SoakError("; ".join(scene.broken))
        fault = next(faults)
        scene.note(fault.words)
        fault.do(station)
        station.check()
        scene.note(f"over: {fault.name}")
        scene.count("faults")
        scene.count(f"fault {fault.name}")


def _wait_for_groups(scene: Scene, deadline: float) -> None:
    """Until each group has committed the end of every partition."""
    behind = {}
    with RawClient(scene.address) as client:
        while time.monotonic() < deadline:
            behind = {
                (group, index): (committed, end)
                for index in range(PARTITIONS)
                for end in [client.fetch(TOPIC, index, 0).high_watermark]
                for group in GROUPS
                for committed in [client.committed_offset(group, TOPIC, index)]
                if committed != end
            }
            if not behind:
                return
            time.sleep(0.25)
    raise SoakError(f"{HEAL_S} s after the last fault groups are behind: {behind}")


def _judge(scene: Scene) -> None:
    """Final reads, commits as they are, and the history."""
    found = confluent_load.read_whole(scene, HEAL_S)
    commits = scene.history.commits
    with RawClient(scene.address) as client:
        for index in range(PARTITIONS):
            assert found[index] == client.read_all(TOPIC, index), "two clients read otherwise"
            scene.history.read_whole((TOPIC, index), found[index])
            for group in GROUPS:
                fetch = commits.fetching(group, (TOPIC, index))
                offset = client.committed_offset(group, TOPIC, index)
                commits.fetched(fetch, None if offset < 0 else offset)
    scene.counts["records at the end"] = sum(map(len, found.values()))
    anomalies = scene.anomalies()
    if anomalies:
        shown = "\n".join(str(each) for each in anomalies[:TOLD_ANOMALIES])
        raise SoakError(f"{len(anomalies)} anomalies\n{shown}")


def explain(error: Exception, scene: Scene, station: Station) -> str:
    """The events, the broker's last words, and where a copy of the disk lies."""
    lines = [f"{type(error).__name__}: {error}", *scene.broken]
    lines += [*scene.history.events[-TOLD_EVENTS:], station.last_words()]
    if station.disk is None or not station.disk.check_frozen():
        copy = tempfile.mkdtemp(prefix="kbroker-soak-failed-")
        with contextlib.suppress(OSError, shutil.Error):
            shutil.copytree(station.data, copy, dirs_exist_ok=True)
        lines.append(f"the disk is copied to {copy}")
    return "\n".join(lines)
