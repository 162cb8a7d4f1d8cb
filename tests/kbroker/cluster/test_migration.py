"""What of a single node's metadata is written to a shared store, in which order, what is not."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from kbroker.cluster.controller import Controller
from kbroker.cluster.keys import Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import ClusterRecord, encode_cluster
from kbroker.cluster.metadata_store import (
    MAX_TRANSACTION_OPERATIONS,
    KeyValue,
    Listing,
    OutcomeUnknownError,
    Put,
    TransactionResult,
)
from kbroker.cluster.migration import (
    MAX_BATCH_BYTES,
    MigrationRefusedError,
    Remaining,
    Source,
    batches,
    compare_target,
    read_source,
)
from kbroker.cluster.topic_creation import NewTopic
from kbroker.metadata_migration import write
from tests.kbroker.broker_harness import run
from tests.kbroker.cluster.controller_harness import BreakingStore, BrokenError, create, start
from wire.errors import KafkaError

OWN = Keys("kbroker")
TARGET = Keys("prod")


async def single_node(node_id: int = 1, topics: Sequence[str] = ("orders",)) -> Listing:
    """The metadata of a node that has run, with topics and settings."""
    store = MemoryStore(random.Random(1))
    controller = Controller(store, "kbroker", node_id, random.Random(2))
    await controller.create_cluster()
    await start(controller)
    for name in topics:
        await create(controller, NewTopic(name, partition_count=3))
    await controller.change_configs(OWN.group_config("g"), lambda _: {"a": "1"})
    await controller.allocate_producer_id_block()
    listing = await store.list(OWN.prefix)
    await store.close()
    return listing


async def source_of(node_id: int = 1, **options: Sequence[str]) -> Source:
    return read_source(await single_node(node_id, **options), OWN, TARGET, node_id=node_id)


async def contents(store: MemoryStore) -> dict[str, bytes]:
    return {kv.key: kv.value for kv in (await store.list("")).items}


def listing(**values: bytes) -> Listing:
    return Listing(
        5, tuple(KeyValue(TARGET.prefix + key, value, 1, 5, 1) for key, value in values.items())
    )


def test_all_is_moved_but_what_lasts_for_one_life() -> None:
    async def scenario() -> None:
        before = await single_node()
        source = read_source(before, OWN, TARGET, node_id=1)
        store = MemoryStore(random.Random(3))
        await write(store, source, TARGET)
        found = {key.removeprefix(TARGET.prefix): v for key, v in (await contents(store)).items()}
        kept = {kv.key.removeprefix(OWN.prefix): kv.value for kv in before.items}
        left = {key for key in kept if key not in found}
        assert left == {"brokers/1", "admit/1", "controller"}
        assert found == {key: value for key, value in kept.items() if key not in left}
        image = MetadataImage(TARGET)
        image.replace_with(await store.list(TARGET.prefix))
        assert image.cluster is not None
        assert image.cluster.cluster_id == source.cluster_id
        assert source.counts["partitions"] == 3
        assert source.counts["settings of groups"] == 1
        await store.close()

    run(scenario)


def test_nobody_takes_half_of_it_for_a_cluster() -> None:
    async def scenario() -> None:
        source = await source_of(topics=[f"t{n}" for n in range(60)])
        store = MemoryStore(random.Random(3))
        with pytest.raises(BrokenError):
            await write(BreakingStore(store, 2), source, TARGET)
        assert TARGET.cluster not in await contents(store)
        with pytest.raises(KafkaError, match="metadata are being moved to /kbroker/prod/"):
            await Controller(store, "prod", 2, random.Random(4)).create_cluster()
        await write(store, source, TARGET)
        assert TARGET.migration not in await contents(store)
        record = await Controller(store, "prod", 2, random.Random(4)).create_cluster()
        assert record.cluster_id == source.cluster_id
        await store.close()

    run(scenario)


def test_wherever_it_was_interrupted_it_can_be_repeated() -> None:
    async def scenario() -> None:
        source = await source_of(topics=[f"t{n}" for n in range(60)])
        wanted = {put.key: put.value for put in (*source.puts, source.cluster)}
        steps = 0
        while True:
            store = MemoryStore(random.Random(3))
            try:
                await write(BreakingStore(store, steps), source, TARGET)
                break
            except BrokenError:
                await write(store, source, TARGET)
                assert await contents(store) == wanted
            await store.close()
            steps += 1
        assert steps == 2 + -(-len(source.puts) // (MAX_TRANSACTION_OPERATIONS - 1))
        await write(store, source, TARGET)
        assert await contents(store) == wanted, "and repeated for nothing"

    run(scenario)


class UnsureStore(BreakingStore):
    """Every other transaction's outcome is unknown; every other of these has taken effect."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store, 1_000)
        self._count = 0

    async def transact(
        self, compares: Sequence, then: Sequence, otherwise: Sequence = ()
    ) -> TransactionResult:
        self._count += 1
        if self._count % 4 == 1:
            raise OutcomeUnknownError("lost before it came")
        result = await super().transact(compares, then, otherwise)
        if self._count % 4 == 3:
            raise OutcomeUnknownError("the answer was lost")
        return result


def test_what_became_of_a_transaction_is_read() -> None:
    async def scenario() -> None:
        source = await source_of(topics=[f"t{n}" for n in range(60)])
        store = MemoryStore(random.Random(3))
        await write(UnsureStore(store), source, TARGET)
        wanted = {put.key: put.value for put in (*source.puts, source.cluster)}
        assert await contents(store) == wanted
        await store.close()

    run(scenario)


class LosingStore(BreakingStore):
    """Answers that everything was refused."""

    async def transact(
        self, compares: Sequence, then: Sequence, otherwise: Sequence = ()
    ) -> TransactionResult:
        return TransactionResult(False, 1)


def test_a_store_that_refuses_everything_is_given_up() -> None:
    async def scenario() -> None:
        store = MemoryStore(random.Random(3))
        with pytest.raises(MigrationRefusedError, match="somebody else is writing there"):
            await write(LosingStore(store, 0), await source_of(), TARGET)

    run(scenario)


def test_other_keys_and_other_clusters_are_left_alone() -> None:
    async def scenario() -> None:
        source = await source_of()
        other = encode_cluster(ClusterRecord("other-cluster"))
        with pytest.raises(MigrationRefusedError, match=r"a cluster already, other-cluster; this"):
            compare_target(source, listing(meta=other), TARGET)
        with pytest.raises(MigrationRefusedError, match=r"keys already, /kbroker/prod/pid-block"):
            compare_target(source, listing(**{"pid-block": b"{}"}), TARGET)
        with pytest.raises(MigrationRefusedError, match=r"another migration has begun there"):
            compare_target(source, listing(migration=b"{}"), TARGET)
        marker = source.marker.value
        with pytest.raises(MigrationRefusedError, match=r"keys already, /kbroker/prod/brokers/2"):
            compare_target(source, listing(migration=marker, **{"brokers/2": b"{}"}), TARGET)
        with pytest.raises(MigrationRefusedError, match="makes no sense"):
            compare_target(source, listing(meta=b"{}"), TARGET)

    run(scenario)


def test_the_same_keys_without_the_marker_are_somebody_elses() -> None:
    async def scenario() -> None:
        source = await source_of()
        put = source.puts[0]
        there = Listing(5, (KeyValue(put.key, put.value, 1, 5, 1),))
        with pytest.raises(MigrationRefusedError, match="keys already"):
            compare_target(source, there, TARGET)

    run(scenario)


def test_a_cluster_that_has_gone_on_since_is_known_by_its_topics() -> None:
    async def scenario() -> None:
        source = await source_of()
        cluster = listing(meta=source.cluster.value)
        with pytest.raises(MigrationRefusedError, match="is there already, and lacks"):
            compare_target(source, cluster, TARGET)
        moved = tuple(KeyValue(each.key, b"changed since", 1, 5, 2) for each in source.puts)
        there = Listing(5, (*cluster.items, *moved))
        assert compare_target(source, there, TARGET).is_done

    run(scenario)


def test_replicas_on_other_nodes_are_refused() -> None:
    async def scenario() -> None:
        metadata = await single_node(node_id=1)
        with pytest.raises(MigrationRefusedError, match=r"orders-0 has replicas on other nodes"):
            read_source(metadata, OWN, TARGET, node_id=2)

    run(scenario)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (encode_cluster(ClusterRecord("c", format_version=9)), "format version 9; this release"),
        (b"{}", "makes no sense"),
        (None, "there is no cluster"),
    ],
)
def test_a_source_that_cannot_be_understood(value: bytes | None, words: str) -> None:
    items = () if value is None else (KeyValue(OWN.cluster, value, 1, 1, 1),)
    with pytest.raises(MigrationRefusedError, match=words):
        read_source(Listing(5, items), OWN, TARGET, node_id=1)


def test_keys_that_this_release_does_not_know_are_moved() -> None:
    cluster = KeyValue(OWN.cluster, encode_cluster(ClusterRecord("c")), 1, 1, 1)
    newer = KeyValue(OWN.prefix + "acl/7", b"x", 2, 2, 1)
    source = read_source(Listing(5, (newer, cluster)), OWN, TARGET, node_id=1)
    assert source.puts == (Put("/kbroker/prod/acl/7", b"x"),)


def test_batches_are_within_etcds_limits() -> None:
    large = [Put(f"{TARGET.prefix}t/{n}", b"x" * 200_000) for n in range(5)]
    small = [Put(f"{TARGET.prefix}p/{n}", b"x") for n in range(300)]
    huge = [Put(f"{TARGET.prefix}huge", b"x" * (MAX_BATCH_BYTES + 1))]
    made = list(batches(Remaining((*large, *huge, *small), 7), TARGET))
    written = [operation for _, operations in made for operation in operations]
    assert written == [*large, *huge, *small]
    for compares, operations in made:
        assert len(compares) == len(operations) + 1 <= MAX_TRANSACTION_OPERATIONS
        puts = [each for each in operations if isinstance(each, Put)]
        assert len(puts) == 1 or sum(len(each.value) for each in puts) <= MAX_BATCH_BYTES
