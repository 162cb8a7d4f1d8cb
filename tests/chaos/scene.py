"""The scene of a soak, of several brokers: and when each record was acknowledged."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.chaos.measures import Acknowledgements
from tests.soak.scene import PARTITIONS, Scene

Address = tuple[str, int]


class ClusterScene(Scene):
    """Mutable, for many threads. No commit is ever settled by a broker's end: the next leader may
    still take it over from a replica."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        super().__init__(addresses[0])
        self.addresses = addresses
        self.acknowledgements = Acknowledgements(PARTITIONS)
        self._open: dict[bytes, tuple[int, float]] = {}

    @property
    def bootstrap(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self.addresses)

    def sent(self, value: bytes, producer: str, partition: int, *, may_repeat: bool) -> None:
        self._open[value] = (partition, time.monotonic())
        super().sent(value, producer, partition, may_repeat=may_repeat)

    def acknowledged(self, value: bytes, offset: int | None) -> None:
        super().acknowledged(value, offset)
        partition, sent_s = self._open.pop(value)
        with self._lock:
            self.acknowledgements.add(partition, sent_s, time.monotonic())

    def first_after(self, partition: int, moment_s: float) -> float | None:
        with self._lock:
            return self.acknowledgements.first_after(partition, moment_s)

    def longest_gap(self, begin_s: float, end_s: float) -> float:
        """Of any partition."""
        with self._lock:
            return max(
                self.acknowledgements.longest_gap(each, begin_s, end_s)
                for each in range(PARTITIONS)
            )
