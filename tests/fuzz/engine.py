"""Runs targets: the corpus first, then as many inputs as were asked for; what failed, and why.

An input is named by its target, the seed and its index: inputs are made in blocks, each from a
`Random` of its own, so that any of them can be made again alone. A hang is an alarm, memory is
bounded by the system (`limit_memory`) and looked at after each block.
"""

from __future__ import annotations

import resource
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from tests.fuzz import corpus
from tests.fuzz.mutation import Sample, mutated, plain
from tests.fuzz.target import Target

BLOCK = 128
SAMPLES = 6
"""Valid messages that the inputs of a block are made of."""

ALARM_S = 20
"""For a block, which takes some 10 ms: an input that takes this long hangs."""

MOST_GROWTH_BYTES = 192 << 20
"""Resident memory that a target's inputs may add at the most."""

ADDRESS_SPACE_BYTES = 4 << 30


class HangError(Exception):
    """An input took longer than any should."""


@dataclass(frozen=True)
class Failure:
    """`index` is -1 for an input of the corpus; `data` is kept there."""

    target: str
    seed: int
    index: int
    data: bytes
    error: str

    def command(self) -> str:
        """What replays it."""
        start = f"python -m tests.fuzz decoders --only {self.target}"
        if self.index < 0:
            return f"{start} --inputs 0"
        return f"{start} --seed {self.seed} --index {self.index}"


@dataclass
class Tally:
    """What a run did. Mutable."""

    inputs: int = 0
    accepted: int = 0
    replayed: int = 0
    targets: int = 0
    failures: list[Failure] = field(default_factory=list)
    slowest: Counter[str] = field(default_factory=Counter)


def shares(targets: Sequence[Target], inputs: int) -> list[int]:
    """How many of the inputs each target gets, one at least."""
    total = sum(target.weight for target in targets)
    return [max(1, round(inputs * target.weight / total)) if inputs else 0 for target in targets]


def run_target(target: Target, *, seed: int, inputs: int, tally: Tally) -> None:
    """Replay the target's corpus, then `inputs` made ones; it ends at the first failure."""
    tally.targets += 1
    before = peak_bytes()
    for path in corpus.stored(target.name):
        tally.replayed += 1
        failure = try_inputs(target, [path.read_bytes()], tally, seed=seed, start=-1)
        if failure is not None:
            tally.failures.append(failure)
            return
    found = corpus.bases(target.name)
    for start in range(0, inputs, BLOCK):
        block = list(block_inputs(target, seed, start // BLOCK, found, min(BLOCK, inputs - start)))
        failure = try_inputs(target, block, tally, seed=seed, start=start)
        tally.inputs += len(block)
        if failure is None and peak_bytes() - before > MOST_GROWTH_BYTES:
            largest = max(block, key=len)
            words = f"memory grew by {peak_bytes() - before} bytes within this block"
            failure = Failure(target.name, seed, start, largest, words)
        if failure is not None:
            tally.failures.append(failure)
            return


def block_inputs(
    target: Target, seed: int, block: int, found: Sequence[bytes], count: int
) -> Iterator[bytes]:
    """The first `count` inputs of a block: some valid ones as they are, then changed ones."""
    chance = Random(f"{seed} {target.name} {block}")
    random = chance.random
    samples: list[Sample] = [target.make(chance) for _ in range(SAMPLES)]
    given = [plain(found[int(random() * len(found))]) for _ in range(2 if found else 0)]
    repair = target.repair
    for sample in samples[:count]:
        yield sample.data
    samples += given
    size = len(samples)
    for _ in range(count - SAMPLES):
        sample, other = samples[int(random() * size)], samples[int(random() * size)]
        data = mutated(sample, other, chance)
        yield repair(data, chance) if repair is not None and random() < 0.5 else data


def one_input(target: Target, seed: int, index: int) -> bytes:
    """The input of that index alone."""
    found = corpus.bases(target.name)
    inputs = list(block_inputs(target, seed, index // BLOCK, found, BLOCK))
    return inputs[index % BLOCK]


def try_inputs(
    target: Target, inputs: Iterable[bytes], tally: Tally, *, seed: int, start: int
) -> Failure | None:
    """Check each; the first that fails."""
    check, allowed = target.check, target.allowed
    accepted = 0
    index = start
    data = b""
    try:
        with alarm():
            for index, data in enumerate(inputs, start):  # noqa: B007 - the one that failed
                try:
                    check(data)
                    accepted += 1
                except allowed:
                    pass
    except Exception as error:  # noqa: BLE001 - whatever escapes is what is looked for
        words = f"{type(error).__name__}: {error}"
        return Failure(target.name, seed, index, data, words[:2000])
    finally:
        tally.accepted += accepted
    return None


@contextmanager
def alarm() -> Iterator[None]:
    """Raises HangError in what takes too long."""

    def ring(*_: object) -> None:
        raise HangError(f"no end within {ALARM_S} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, ALARM_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def limit_memory() -> None:
    """From now on an allocation beyond the limit is a MemoryError."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, hard))


def peak_bytes() -> int:
    """The most resident memory that this process ever had (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
