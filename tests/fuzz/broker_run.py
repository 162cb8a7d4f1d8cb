"""Garbage for a live broker: blocks of inputs over many connections, and a look after each."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.fuzz.broker_client import Astray, GoodClient
from tests.fuzz.broker_http import http_address, send_garbage, what_is_wrong
from tests.fuzz.broker_inputs import HANG_UP, Learned, broker_input
from tests.fuzz.broker_link import Heavy, Link
from tests.process.broker_process import BrokerProcess, running
from tests.process.raw_client import Disconnected

BLOCK = 500
CONNECTIONS = 12
HTTP_INPUTS = 15
"""Beside each block, to the listener of metrics."""
CROWD = 150
"""Connections that are opened together now and then, each with half a frame."""
CROWD_EVERY = 10
TIDY_EVERY = 8
"""Blocks between two that end with an empty broker."""
BREATH = 25
"""Inputs between two waits for what was answered."""
MOST_AHEAD = 400
"""Requests that may wait for answers, over all connections."""
DEADLINE_S = 60.0
KEPT = 4000
"""Of the last inputs, which a failure is reported with."""
WARM_BLOCKS = 4
"""After these memory and descriptors are at their level."""
MOST_GROWTH_BYTES = 64 << 20
MOST_FILES = 24
PATIENCE = 200
"""Looks at memory and descriptors, with a whole round of the good client between two."""
SETTINGS = (
    "offsets.topic.num.partitions=2",
    "group.min.session.timeout.ms=1",
    "group.max.session.timeout.ms=2000",
    "group.initial.rebalance.delay.ms=0",
    "log.segment.bytes=1048576",
)


class FoundError(Exception):
    """What is wrong, in one line."""


class Sent(NamedTuple):
    """`data` is empty where the client hung up."""

    connection: int
    data: bytes


@dataclass
class Run:
    """Mutable: what was sent of late, and what was found."""

    seed: int
    broker: BrokerProcess
    counts: Counter[str] = field(default_factory=Counter)
    recent: deque[Sent] = field(default_factory=lambda: deque(maxlen=KEPT))
    learned: Learned = field(default_factory=Learned)
    found: list[str] = field(default_factory=list)
    links: dict[int, Link] = field(default_factory=dict)
    ending: list[Link] = field(default_factory=list)
    """Connections that the broker is to close."""
    next_number: int = 0
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def link(self, place: int) -> Link:
        """The connection at this place, a new one if that is gone."""
        link = self.links.get(place)
        if link is None or link.is_closed or link.is_doomed:
            if link is not None and not link.is_closed:
                self.ending.append(link)
            link = self.links[place] = await self.connect()
        return link

    def all_links(self) -> list[Link]:
        return [*self.links.values(), *self.ending]

    async def connect(self) -> Link:
        self.next_number += 1
        number = self.next_number
        self.counts["connections"] += 1
        loop = asyncio.get_running_loop()
        host, port = self.broker.address
        _, link = await loop.create_connection(
            lambda: Link(number, self.learned, self.counts, self.progress.set, self.found.append),
            host,
            port,
        )
        return link

    def write(self, link: Link, data: bytes) -> None:
        self.recent.append(Sent(link.number, data))
        if data == HANG_UP:
            link.leave()
            return
        try:
            link.send(data)
        except Heavy:
            self.recent.pop()
            self.counts["too heavy"] += 1

    async def send(self, index: int) -> None:
        place, parts = broker_input(self.seed, index, self.learned)
        link = await self.link(place % CONNECTIONS)
        for part in parts:
            if link.is_closed:
                break
            self.write(link, part)
        await asyncio.sleep(0)
        if index % BREATH == 0 or sum(len(each.expected) for each in self.all_links()) > MOST_AHEAD:
            await self.answers()

    async def answers(self) -> None:
        """Wait for all that nothing holds up: later inputs speak of what was answered."""
        while not self.found and any(link.waits_for_answer for link in self.all_links()):
            self.progress.clear()
            try:
                await asyncio.wait_for(self.progress.wait(), DEADLINE_S)
            except TimeoutError:
                waiting = [link for link in self.all_links() if link.waits_for_answer]
                due = [(link.number, *list(link.expected)[:1]) for link in waiting]
                self.found.append(f"no answer within {DEADLINE_S} s: {due}")
        self.ending = [link for link in self.ending if not link.is_closed]

    async def settle(self) -> None:
        """Wait for the answers, then leave."""
        await self.answers()
        for link in self.all_links():
            if not link.is_closed:
                self.counts["left unanswered"] += len(link.expected)
                self.write(link, HANG_UP)
        self.links.clear()
        self.ending.clear()

    async def closed(self) -> None:
        """Let the sockets that were left be closed."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def crowd(self) -> None:
        """Many at once, who all go away in the middle of a frame."""
        links = [await self.connect() for _ in range(CROWD)]
        for link in links:
            self.write(link, (5000).to_bytes(4, "big") + bytes(100))
        for link in links:
            self.write(link, HANG_UP)


def fuzz(
    *, seed: int, inputs: int, report: Callable[[int, Counter[str]], None]
) -> tuple[dict[str, float], str | None, Path | None]:
    """(figures, what was found, where the last inputs are kept)."""
    with tempfile.TemporaryDirectory(prefix="kbroker-fuzz-") as directory:
        data = Path(directory) / "data"
        with started_broker(data) as broker:
            run = Run(seed, broker)
            result = asyncio.run(_fuzz(run, inputs, report))
            if result[1] is None:
                problem = after_a_restart(broker, data)
                if problem is not None:
                    return {**result[0], "failures": 1}, problem, keep(run.recent)
            return result


def started_broker(data: Path) -> AbstractContextManager[BrokerProcess]:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return running(data, "--log-level", "error", "--http", "127.0.0.1:0", *settings)


def after_a_restart(broker: BrokerProcess, data: Path) -> str | None:
    """What is wrong with a stop, and with a start on all that the garbage has left in files."""
    status = broker.stop()
    if status:
        return f"it stopped with status {status}:\n{broker.errors[-4000:]}"
    with started_broker(data) as again:
        good = GoodClient(again.address)
        try:
            good.tidy()
            good.check()
        except (Astray, Disconnected, OSError, AssertionError) as error:
            return f"after a restart: {type(error).__name__}: {error}\n{again.errors[-4000:]}"
        finally:
            good.close()
        if "Traceback" in again.errors:
            return f"after a restart it logged\n{again.errors[-4000:]}"
    return None


async def _fuzz(
    run: Run, inputs: int, report: Callable[[int, Counter[str]], None]
) -> tuple[dict[str, float], str | None, Path | None]:
    loop = asyncio.get_running_loop()
    good = GoodClient(run.broker.address)
    started = loop.time()
    level = (0, 0)
    problem = None
    done = 0
    try:
        good.prepare()
        for block in range(-(-inputs // BLOCK)):
            count = min(BLOCK, inputs - done)
            for index in range(done, done + count):
                await run.send(index)
                if run.found:
                    break
            await run.settle()
            done += count
            await run.closed()
            if block % CROWD_EVERY == CROWD_EVERY - 1:
                await run.crowd()
                await run.closed()
            look_after(run, good, tidy=block % TIDY_EVERY == 0)
            look_at_http(run, block)
            report(done, run.counts)
            if block == min(WARM_BLOCKS, inputs // BLOCK) - 1:
                level = usage(run.broker)
        good.tidy()
        last = back_to(level, run.broker, good)
    except (FoundError, Astray, Disconnected, OSError, AssertionError) as error:
        problem = f"{type(error).__name__}: {error}"
        last = (0, 0)
    finally:
        good.close()
    figures = {
        "inputs": done,
        "seconds": round(loop.time() - started, 1),
        "connections": run.counts["connections"],
        "http_inputs": run.counts["http"],
        "answers": run.counts["answered"],
        "hung_up": run.counts["hung up"],
        "left_unanswered": run.counts["left unanswered"],
        "rss_bytes_before": level[0],
        "rss_bytes_after": last[0],
        "descriptors_before": level[1],
        "descriptors_after": last[1],
        "failures": int(problem is not None),
    }
    return figures, problem, keep(run.recent) if problem else None


def look_after(run: Run, good: GoodClient, *, tidy: bool) -> None:
    """Whether the broker is as it should be; FoundError, Astray. `tidy`: it gets empty again."""
    if run.found:
        raise FoundError(run.found[0])
    status = run.broker.process.poll()
    if status is not None:
        raise FoundError(f"the broker ended with status {status}:\n{run.broker.errors[-4000:]}")
    if tidy:
        good.tidy()
    good.reset()
    good.check()
    run.learned.topic_ids[2:] = good.prepare()
    errors = run.broker.errors
    if "Traceback" in errors:
        raise FoundError(f"it logged\n{errors[max(0, errors.index('Traceback') - 500) :][:6000]}")


def look_at_http(run: Run, block: int) -> None:
    """Garbage for the other listener as well; FoundError."""
    address = http_address(run.broker.output)
    send_garbage(address, Random(f"{run.seed} http {block}"), HTTP_INPUTS)
    run.counts["http"] += HTTP_INPUTS
    problem = what_is_wrong(address)
    if problem:
        raise FoundError(problem)


def usage(broker: BrokerProcess) -> tuple[int, int]:
    """(resident bytes, open descriptors) of the broker (Linux)."""
    process = Path(f"/proc/{broker.process.pid}")
    (line,) = [
        line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS:")
    ]
    return int(line.split()[1]) * 1024, len(os.listdir(process / "fd"))


def back_to(before: tuple[int, int], broker: BrokerProcess, good: GoodClient) -> tuple[int, int]:
    """Memory and descriptors, once they are at their level again; FoundError if they never are."""
    for _ in range(PATIENCE):
        after = usage(broker)
        if after[0] - before[0] <= MOST_GROWTH_BYTES and after[1] - before[1] <= MOST_FILES:
            return after
        good.check()  # the broker sees meanwhile who has gone
    raise FoundError(f"(memory, descriptors) were {before} and are {after}")


def keep(recent: Sequence[Sent]) -> Path:
    """The last inputs in a file that `--replay` takes."""
    handle, name = tempfile.mkstemp(prefix="kbroker-fuzz-", suffix=".jsonl")
    with os.fdopen(handle, "w") as file:
        for sent in recent:
            file.write(json.dumps({"connection": sent.connection, "data": sent.data.hex()}) + "\n")
    return Path(name)


def replay(path: Path) -> str | None:
    """Send what a file holds to a fresh broker, as it was sent; what was found."""
    with tempfile.TemporaryDirectory(prefix="kbroker-fuzz-") as directory:
        data = Path(directory) / "data"
        with started_broker(data) as broker:
            problem = asyncio.run(_replay(Run(0, broker), path))
            return problem or after_a_restart(broker, data)


async def _replay(run: Run, path: Path) -> str | None:
    links: dict[int, Link] = {}
    good = GoodClient(run.broker.address)
    good.prepare()
    try:
        for line in path.read_text().splitlines():
            sent = json.loads(line)
            number = sent["connection"]
            if number not in links:
                links[number] = run.links[number] = await run.connect()
            if not links[number].is_closed:
                run.write(links[number], bytes.fromhex(sent["data"]))
            await asyncio.sleep(0)
        await run.settle()
        look_after(run, good, tidy=False)
    except (FoundError, Astray, Disconnected, OSError, AssertionError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        good.close()
    return None
