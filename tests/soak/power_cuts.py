"""Power cuts of a real process: it is killed, and what it had not fsynced is lost, torn or there.

A machine is a disk and its cuts, one life of the broker after another; the next machine starts
from nothing. In each life pipelined producers, a committer and a reader work until the disk
freezes, at a change of it that the seed chose: between an append and its fsync, within a roll, a
checkpoint, a commit of the metadata, or in the recovery from the cut before. Then the next life
must have all that was acknowledged, where it was, and every commit.

The seed fixes the load, the changes and what survives; the moment within the process it cannot fix.
"""

from __future__ import annotations

import random
import select
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simulator.history import History
from tests.process.broker_process import BrokerProcess
from tests.process.load import (
    GROUP,
    LOG_SETTINGS,
    TOPIC,
    Committer,
    Member,
    Reader,
    drain,
    finish,
    producers,
)
from tests.process.raw_client import (
    PRODUCE_VERSION,
    Disconnected,
    RawClient,
    batch,
    create_topic_request,
    delete_topic_request,
    produce_request,
)
from tests.soak.failing_disk import FailingDisk
from wire.errors import ErrorCode
from wire.messages.create_topics import CreateTopicsResponse
from wire.messages.delete_topics import DeleteTopicsResponse
from wire.messages.produce import ProduceResponse

PARTITIONS = 2
CUTS_OF_A_MACHINE = 10
MOST_CHANGES = 700
"""Of the disk in one life; a life begins with about 30."""
MOST_CHANGES_OF_A_START = 40
LIFE_S = 30.0
"""A life that is longer hangs."""
SETTINGS = (
    *LOG_SETTINGS,
    "log.flush.offset.checkpoint.interval.ms=100",
    "offsets.topic.num.partitions=1",
)
ARGUMENTS = [word for setting in SETTINGS for word in ("--set", setting)]
CREATE_VERSION = 7
DELETE_VERSION = 6


@dataclass
class Figures:
    """Mutable. Of all machines so far."""

    cuts: int = 0
    machines: int = 0
    cuts_in_a_start: int = 0
    cuts_with_a_slow_disk: int = 0
    acknowledged: int = 0
    commits: int = 0
    topics: int = 0
    deleted_topics: int = 0
    records_read: int = 0


class CutError(Exception):
    """A machine lost what it must not. The message is for a person, with the command to replay."""


@dataclass
class Machine:
    """One disk, its lives and what clients were told. Mutable."""

    disk: FailingDisk
    chance: random.Random
    figures: Figures
    settings: tuple[str, ...] = ()
    history: History = field(default_factory=History)
    topics: dict[str, bytes] = field(default_factory=dict)
    """Those whose creation was acknowledged, with their ids; each has a record or is to have it."""
    deleted: list[str] = field(default_factory=list)
    """Those whose deletion was acknowledged."""

    def __post_init__(self) -> None:
        self.members: list[Member] = [
            *producers(self.history, self.chance, partitions=PARTITIONS),
            Committer(self.history),
            Reader(self.history, PARTITIONS),
        ]

    def live(self, cuts: int, progress: Callable[[], None]) -> None:
        """Lives that are cut, and a last one in which everything is well. CutError."""
        with self._start() as broker, RawClient(broker.address) as client:
            client.create_topic(TOPIC, partitions=PARTITIONS)
            assert client.find_coordinator(GROUP) == 0
        self.disk.keep_power()
        for number in range(cuts):
            if self.chance.random() < 0.15:
                self._cut_a_start(number)
            else:
                self._cut_a_life(number)
            self.figures.cuts += 1
            progress()
        with self._start() as broker:
            self._verify(broker)
            for member in self.members:
                member.connect(RawClient(broker.address))
            finish(self.members)
            self._verify(broker)
            assert broker.stop() == 0
        self.figures.machines += 1

    def _cut_a_start(self, number: int) -> None:
        """Power goes in the recovery of the cut before, or just after it."""
        after = self.chance.randrange(MOST_CHANGES_OF_A_START)
        self.disk.freeze_after(after)
        with self._process() as broker:
            self.history.note(f"cut {number + 1}: after {after} changes of a start")
            deadline = time.monotonic() + LIFE_S
            while not self.disk.check_frozen() and not broker.is_ready_within(0.02):
                assert time.monotonic() < deadline, f"the start hangs:\n{broker.errors}"
            self._lose_power(broker)
        self.figures.cuts_in_a_start += 1

    def _cut_a_life(self, number: int) -> None:
        after = self.chance.randrange(MOST_CHANGES)
        slow_s = self.chance.choice((0.0, 0.0, 0.002, 0.02))
        with self._start() as broker:
            self._verify(broker)
            for member in self.members:
                member.connect(RawClient(broker.address))
            if slow_s:
                self.disk.slow_fsync("*", slow_s)
                self.figures.cuts_with_a_slow_disk += 1
            topic = f"topic-{number}"
            self.disk.freeze_after(after)
            self._work(broker, topic, with_topics=self.chance.random() < 0.7)
            self._lose_power(broker)
            late = drain(self.members)
            self.figures.acknowledged += late
        slow = f", an fsync takes {slow_s} s" if slow_s else ""
        self.history.note(f"cut {number + 1}: after {after} changes{slow}; {late} came late")

    def _work(self, broker: BrokerProcess, topic: str, *, with_topics: bool) -> None:
        """Until the disk is frozen."""
        deadline = time.monotonic() + LIFE_S
        by_descriptor = {member.client.fileno(): member for member in self.members}
        for member in self.members:
            member.send_more()
        while not self.disk.check_frozen():
            assert time.monotonic() < deadline, f"the broker hangs:\n{broker.errors}"
            readable, _, _ = select.select([*by_descriptor, self.disk], [], [], 1.0)
            for each in readable:
                if each is self.disk:
                    continue
                member = by_descriptor[each]
                acknowledged = sum(member.take(frame) for frame in member.client.read_frames())
                self.figures.acknowledged += acknowledged
                member.send_more()
                if acknowledged and with_topics:
                    with_topics = False
                    self._change_topics(broker, topic)

    def _change_topics(self, broker: BrokerProcess, name: str) -> None:
        """Make one with a record in it, or delete one; either may be cut off at any point."""
        with RawClient(broker.address) as client:
            if self.topics and self.chance.random() < 0.4:
                self._delete_topic(client, min(self.topics))
                return
            client.send(create_topic_request(name), CREATE_VERSION)
            frame = self._answer(client)
            if frame is None:
                return
            created = client.decode(CreateTopicsResponse, CREATE_VERSION, frame).topics[0]
            assert created.error_code == 0, created
            self.topics[name] = created.topic_id
            self.figures.topics += 1
            value = f"{name}/0/0".encode()
            self.history.sent(value, producer=name, partition=(name, 0))
            client.send(produce_request(name, 0, batch(value)), PRODUCE_VERSION)
            frame = self._answer(client)
            if frame is not None:
                produced = client.decode(ProduceResponse, PRODUCE_VERSION, frame).responses[0]
                answer = produced.partition_responses[0]
                assert answer.error_code == 0, answer
                self.history.acknowledged(value, answer.base_offset)

    def _delete_topic(self, client: RawClient, name: str) -> None:
        del self.topics[name]
        self.history.finals.pop((name, 0), None)
        client.send(delete_topic_request(name), DELETE_VERSION)
        frame = self._answer(client)
        if frame is not None:
            (answer,) = client.decode(DeleteTopicsResponse, DELETE_VERSION, frame).responses
            assert answer.error_code == 0, answer
            self.deleted.append(name)
            self.figures.deleted_topics += 1

    def _answer(self, client: RawClient) -> bytes | None:
        """The next answer; None if the power goes before it."""
        while not self.disk.check_frozen():
            readable, _, _ = select.select([client, self.disk], [], [], 1.0)
            frames = client.read_frames() if client in readable else []
            if frames:
                return frames[0]
        return None

    def _lose_power(self, broker: BrokerProcess) -> None:
        """The process first: whatever it still does reaches the frozen disk no more."""
        if not self.disk.is_frozen:
            self.disk.freeze()
        broker.process.kill()
        self.disk.release()
        broker.wait()
        self.disk.lose_power(self.chance.randrange(1 << 30))

    @contextmanager
    def _start(self) -> Iterator[BrokerProcess]:
        with self._process() as broker:
            try:
                broker.wait_until_ready()
            except AssertionError as error:
                raise CutError(f"the broker does not start again:\n{error}") from error
            yield broker

    @contextmanager
    def _process(self) -> Iterator[BrokerProcess]:
        """Its standard error lies beside the disk, which it must not hang on."""
        errors = self.disk.path.with_suffix(".stderr")
        errors.unlink(missing_ok=True)
        address = ("--data", str(self.disk.path), "--listen", "127.0.0.1:0")
        settings = [word for setting in self.settings for word in ("--set", setting)]
        broker = BrokerProcess(*address, *ARGUMENTS, *settings, log_path=errors)
        try:
            yield broker
        finally:
            broker.process.kill()
            self.disk.release()
            broker.close()

    def _verify(self, broker: BrokerProcess) -> None:
        """All that was acknowledged is there. The committer looks at its commits itself."""
        with RawClient(broker.address) as client:
            for index in range(PARTITIONS):
                records = client.read_all(TOPIC, index)
                self.history.read_whole((TOPIC, index), records)
                self.figures.records_read += len(records)
            for name, topic_id in self.topics.items():
                (found,) = client.metadata(name).topics
                if found.error_code != 0 or found.topic_id != topic_id:
                    raise CutError(f"topic {name} was made, and is not there: {found}")
                self.history.read_whole((name, 0), client.read_all(name, 0))
            for name in self.deleted:
                (found,) = client.metadata(name).topics
                if found.error_code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                    raise CutError(f"topic {name} was deleted, and is there: {found}")
        anomalies = self.history.check()
        if anomalies:
            raise CutError(self.history.explain(anomalies))


def cut_power(
    *,
    count: int,
    seed: int,
    directory: Path,
    progress: Callable[[Figures], None],
    settings: tuple[str, ...] = (),
) -> Figures:
    """`count` cuts, on as many machines as that takes; `settings` are the broker's. CutError, with
    the way to replay it."""
    figures = Figures()
    machine_seed = seed
    with FailingDisk(directory / "disk") as disk:
        while figures.cuts < count:
            cuts = min(CUTS_OF_A_MACHINE, count - figures.cuts)
            machine = Machine(disk, random.Random(machine_seed), figures, settings)
            try:
                machine.live(cuts, lambda: progress(figures))
            except (CutError, AssertionError, Disconnected) as error:
                raise CutError(explain(error, machine, machine_seed)) from error
            figures.commits += sum(
                each.acknowledged for each in machine.members if isinstance(each, Committer)
            )
            disk.erase()
            machine_seed += 1
    return figures


def explain(error: Exception, machine: Machine, seed: int) -> str:
    """With a copy of the disk as it is now, and the events."""
    copy = tempfile.mkdtemp(prefix="kbroker-power-cut-")
    shutil.copytree(machine.disk.path, copy, dirs_exist_ok=True)
    events = "\n".join(machine.history.events)
    again = f"python -m tests.soak power-cuts --count {CUTS_OF_A_MACHINE} --seed {seed}"
    return f"{error!r}\n{error}\n{events}\nthe disk is copied to {copy}\nagain: {again}"
