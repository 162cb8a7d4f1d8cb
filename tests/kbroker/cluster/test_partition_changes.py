"""Writing many changes: in batches, halved where one of them was overtaken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbroker.cluster.controller import Controller
from kbroker.cluster.elections import Election
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import PartitionRecord, encode_partition
from kbroker.cluster.metadata_store import OutcomeUnknownError, Put
from kbroker.cluster.partition_changes import (
    NOT_REGISTERED,
    Members,
    PartitionChange,
    change_of,
    each_partition,
    write_changes,
)
from kbroker.cluster.topic_creation import NewTopic
from tests.kbroker.cluster.controller_harness import (
    SlowStore,
    controller_of,
    create,
    read,
    run,
    start,
)
from wire.errors import ErrorCode, KafkaError


class CountingStore(SlowStore):
    """Counts transactions."""

    count = 0

    async def transact(self, *lists):  # type: ignore[no-untyped-def, override]
        self.count += 1
        return await super().transact(*lists)


async def prepared(store: MemoryStore, partition_count: int) -> tuple[Controller, CountingStore]:
    counting = CountingStore(store)
    controller = controller_of(counting)
    await start(controller)
    await create(controller, NewTopic("t", partition_count=partition_count))
    counting.count = 0
    return controller, counting


async def next_epochs(image: MetadataImage) -> list[PartitionChange]:
    """Every partition's leader elected once more."""
    members = Members(image)
    return [
        change_of(topic, n, Election(replace(record, leader_epoch=1)), members, ())
        async for topic, n, record in each_partition(image)
    ]


async def overtake(store: MemoryStore, controller: Controller, partition: int) -> None:
    image = await read(store, controller)
    (topic,) = image.topics.values()
    record = replace(topic.partitions[partition], partition_epoch=9)
    key = controller.keys.partition(topic.topic_id, partition)
    await store.transact([], [Put(key, encode_partition(record))])


async def records(store: MemoryStore, controller: Controller) -> dict[int, PartitionRecord]:
    (topic,) = (await read(store, controller)).topics.values()
    return dict(topic.partitions)


def test_thousands_take_few_transactions() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller, counting = await prepared(store, 1000)
        changes = await next_epochs(await read(store, controller))
        written = await write_changes(controller.term, changes)
        assert (len(written.applied), written.refused) == (1000, ())
        assert written.revision == (await store.status()).revision
        assert counting.count == 9
        assert {each.leader_epoch for each in (await records(store, controller)).values()} == {1}

    run(scenario)


def test_one_that_was_overtaken_does_not_keep_the_others() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller, counting = await prepared(store, 120)
        changes = await next_epochs(await read(store, controller))
        await overtake(store, controller, 77)
        written = await write_changes(controller.term, changes)
        assert [each.partition for each in written.refused] == [77]
        assert [each.partition for each in written.applied] == [n for n in range(120) if n != 77]
        assert counting.count <= 1 + 2 * 7  # halved seven times

    run(scenario)


def test_what_rests_on_a_broker_that_has_changed_is_refused_without_halving() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller, counting = await prepared(store, 100)
        changes = await next_epochs(await read(store, controller))
        rests = [
            replace(each, rests_on={0: NOT_REGISTERED} if n % 2 else {})
            for n, each in enumerate(changes)
        ]
        written = await write_changes(controller.term, rests)
        assert {each.partition % 2 for each in written.refused} == {1}
        assert {each.partition % 2 for each in written.applied} == {0}
        assert counting.count == 2

    run(scenario)


def test_a_controller_that_was_replaced_writes_nothing() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller, _ = await prepared(store, 3)
        changes = await next_epochs(await read(store, controller))
        await store.transact([], [Put(controller.keys.controller, b'{"broker_id":0}')])
        await controller_of(store).become_controller()  # created anew
        with pytest.raises(KafkaError) as caught:
            await write_changes(controller.term, changes)
        assert caught.value.code is ErrorCode.NOT_CONTROLLER
        assert {each.leader_epoch for each in (await records(store, controller)).values()} == {0}
        assert controller.epoch == 0

    run(scenario)


def test_a_batch_has_room_for_the_brokers_that_it_rests_on() -> None:
    async def scenario(store: MemoryStore) -> None:
        controller, counting = await prepared(store, 100)
        changes = [
            replace(each, rests_on={1000 + n: NOT_REGISTERED})
            for n, each in enumerate(await next_epochs(await read(store, controller)))
        ]
        written = await write_changes(controller.term, changes)
        assert len(written.applied) == 100
        assert counting.count == 2

    run(scenario)


def test_a_possible_loss_is_told_before_it_can_happen(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever elected with a loss, and dies before the answer, must have said so."""

    class Unanswered(SlowStore):
        is_lost = True

        async def transact(self, *lists):  # type: ignore[no-untyped-def, override]
            result = await super().transact(*lists)
            if self.is_lost:
                raise OutcomeUnknownError("no answer")
            return result

    async def scenario(store: MemoryStore) -> None:
        controller, _ = await prepared(store, 2)
        changes = await next_epochs(await read(store, controller))
        controller.term.store = unanswered = Unanswered(store)
        with pytest.raises(OutcomeUnknownError):
            await write_changes(controller.term, [replace(changes[0], possible_loss=True)])
        told = [each for each in caplog.records if "may lack acknowledged" in each.getMessage()]
        assert [(vars(each)["topic"], vars(each)["leader_epoch"]) for each in told] == [("t", 1)]
        assert (await records(store, controller))[0].leader_epoch == 1
        unanswered.is_lost = False
        await overtake(store, controller, 1)
        caplog.clear()
        written = await write_changes(controller.term, [replace(changes[1], possible_loss=True)])
        assert len(written.refused) == 1
        assert [("may lack" in each, "was not made" in each) for each in caplog.messages] == [
            (True, False),
            (False, True),
        ]

    run(scenario)
