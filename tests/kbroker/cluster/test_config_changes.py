"""Records of settings in the store: changed by compare-and-swap, gone when they hold nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from kbroker.cluster.controller import Controller
from kbroker.cluster.keys import KeyKind, Keys
from kbroker.cluster.memory_store import MemoryStore
from kbroker.cluster.metadata_records import ConfigRecord, decode_config, encode_config
from kbroker.cluster.metadata_store import Put
from tests.kbroker.broker_harness import run
from tests.kbroker.cluster.controller_harness import MeddledStore
from wire.errors import ErrorCode, KafkaError

KEYS = Keys("test")


async def controller_on(store: MemoryStore) -> Controller:
    controller = Controller(store, "test", 1, random.Random(1))
    assert await controller.become_controller()
    return controller


def test_a_record_is_made_changed_and_removed() -> None:
    async def scenario() -> None:
        store = MemoryStore(random.Random(1))
        controller = await controller_on(store)
        key = KEYS.group_config("g")
        revision = await controller.change_configs(key, lambda _: {"a": "1"})
        kv = await store.get(key)
        assert kv is not None
        assert (kv.mod_revision, decode_config(kv.value).configs) == (revision, {"a": "1"})
        assert await controller.change_configs(key, lambda before: before) == revision
        assert await controller.change_configs(key, lambda _: {}) > revision
        assert await store.get(key) is None
        assert await controller.change_configs(key, lambda before: before) == 0

    run(scenario)


def test_a_change_starts_from_what_others_have_set() -> None:
    async def scenario() -> None:
        store = MemoryStore(random.Random(1))
        controller = await controller_on(store)
        key = KEYS.broker_config(None)
        seen: list[Mapping[str, str]] = []
        theirs = encode_config(ConfigRecord({"theirs": "1"}))

        def change(before: Mapping[str, str]) -> Mapping[str, str]:
            seen.append(before)
            return {**before, "ours": "2"}

        await store.transact([], [Put(key, theirs)])
        await controller.change_configs(key, change)
        kv = await store.get(key)
        assert kv is not None
        assert decode_config(kv.value).configs == {"theirs": "1", "ours": "2"}
        assert seen == [{"theirs": "1"}]

    run(scenario)


@pytest.mark.parametrize("before", [{}, {"old": "1"}])
def test_what_others_set_between_our_reading_and_our_writing_is_not_lost(
    before: dict[str, str],
) -> None:
    async def scenario() -> None:
        store = MemoryStore(random.Random(1))
        controller = await controller_on(store)
        key = KEYS.broker_config(None)
        await controller.change_configs(key, lambda _: before)

        async def others() -> None:
            await controller.change_configs(key, lambda now: {**now, "theirs": "1"})

        meddled = Controller(MeddledStore(store, 0, others), "test", 1, random.Random(1))
        meddled._term.epoch = controller.epoch
        revision = await meddled.change_configs(key, lambda now: {**now, "ours": "2"})
        kv = await store.get(key)
        assert kv is not None
        assert decode_config(kv.value).configs == {**before, "theirs": "1", "ours": "2"}
        assert kv.mod_revision == revision

    run(scenario)


def test_what_the_change_refuses_is_not_written_and_only_the_controller_writes() -> None:
    async def scenario() -> None:
        store = MemoryStore(random.Random(1))
        controller = await controller_on(store)

        def refuse(before: Mapping[str, str]) -> Mapping[str, str]:
            raise KafkaError(ErrorCode.INVALID_CONFIG)

        with pytest.raises(KafkaError):
            await controller.change_configs(KEYS.client_metrics("m"), refuse)
        other = Controller(store, "test", 2, random.Random(2))
        with pytest.raises(KafkaError) as refusal:
            await other.change_configs(KEYS.client_metrics("m"), lambda _: {"a": "1"})
        assert refusal.value.code == ErrorCode.NOT_CONTROLLER
        assert await store.get(KEYS.client_metrics("m")) is None
        # What is set on a broker it changes itself.
        assert await other.change_configs(KEYS.broker_config(2), lambda _: {"a": "1"})
        for key in (KEYS.broker_config(1), KEYS.broker_config(None)):
            with pytest.raises(KafkaError) as refusal:
                await other.change_configs(key, lambda _: {"a": "1"})
            assert refusal.value.code == ErrorCode.NOT_CONTROLLER

    run(scenario)


@pytest.mark.parametrize("name", ["g", "a/b", "%2F", "", "grüße", "default", "../x"])
def test_names_of_groups_and_subscriptions_may_have_any_letters(name: str) -> None:
    for key, kind in (
        (KEYS.group_config(name), KeyKind.GROUP_CONFIG),
        (KEYS.client_metrics(name), KeyKind.CLIENT_METRICS),
    ):
        parsed = KEYS.parse(key)
        assert parsed is not None
        assert (parsed.kind, parsed.name) == (kind, name)
