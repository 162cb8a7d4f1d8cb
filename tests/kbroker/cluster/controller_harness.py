"""A controller on a store in memory: one that works, one that breaks, one where all race."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from kbroker.cluster.controller import Controller
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import BrokerRegistration
from kbroker.cluster.metadata_store import MetadataStore, TransactionResult
from kbroker.cluster.topic_creation import CreatedTopic, NewTopic, TopicDefaults


def never_lossy(topic_id: bytes, partition: int) -> bool:
    return False


def always_lossy(topic_id: bytes, partition: int) -> bool:
    return True


def controller_of(store: MetadataStore, node_id: int = 0, **settings: object) -> Controller:
    defaults = TopicDefaults(**settings)  # type: ignore[arg-type]
    return Controller(store, "main", node_id, random.Random(node_id), defaults=defaults)


async def start(controller: Controller, *, lossy: bool = False, rack: str | None = None) -> int:
    registration = BrokerRegistration(controller.node_id, bytes(16), rack=rack)
    is_lossy = always_lossy if lossy else never_lossy
    return await controller.start_broker(registration, is_lossy=is_lossy)


async def read(store: MetadataStore, controller: Controller) -> MetadataImage:
    image = MetadataImage(controller.keys)
    image.replace_with(await store.list(controller.keys.prefix))
    return image


async def create(controller: Controller, topic: NewTopic) -> CreatedTopic:
    (answer,) = await controller.create_topics([topic])
    assert isinstance(answer, CreatedTopic), answer
    return answer


def run(scenario: Callable[[MemoryStore], Awaitable[None]]) -> None:
    async def main() -> None:
        store = MemoryStore(random.Random(1))
        await scenario(store)
        await store.close()

    asyncio.run(main())


class BrokenError(Exception):
    """The process dies here."""


class BreakingStore(MemoryStore):
    """Passes on so many transactions, then dies."""

    def __init__(self, store: MemoryStore, good_transactions: int) -> None:
        self._store = store
        self._left = good_transactions
        self.get = store.get  # type: ignore[method-assign]
        self.list = store.list  # type: ignore[method-assign]

    async def transact(
        self, compares: Sequence, then: Sequence, otherwise: Sequence = ()
    ) -> TransactionResult:
        if self._left == 0:
            raise BrokenError
        self._left -= 1
        return await self._store.transact(compares, then, otherwise)


class SlowStore(BreakingStore):
    """Lets everybody else run before each call: whoever can race, does."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store, good_transactions=-1)

    async def transact(
        self, compares: Sequence, then: Sequence, otherwise: Sequence = ()
    ) -> TransactionResult:
        await asyncio.sleep(0)
        return await super().transact(compares, then, otherwise)


class MeddledStore(SlowStore):
    """Before the transaction of this number, counted from 0, somebody else does something."""

    def __init__(
        self, store: MemoryStore, number: int, meddle: Callable[[], Awaitable[object]]
    ) -> None:
        super().__init__(store)
        self._number = number
        self._meddle = meddle

    async def transact(
        self, compares: Sequence, then: Sequence, otherwise: Sequence = ()
    ) -> TransactionResult:
        self._number -= 1
        if self._number == -1:
            await self._meddle()
        return await super().transact(compares, then, otherwise)
