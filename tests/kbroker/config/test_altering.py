"""Changes of settings: all of a resource's or none, lists, and what a broker may be given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.config.altering import (
    NOT_A_BROKERS_LIST,
    Alteration,
    Operation,
    altered,
    check_alterations,
    check_broker_layer,
)
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.ignored_keys import CHANGE_WHILE_RUNNING, why_ignored
from kbroker.config.running_config import RunningConfig
from kbroker.config.table import READ_ONLY, render
from kbroker.config.topic_config import TopicConfig
from wire.errors import ErrorCode, KafkaError

SET, DELETE, APPEND, SUBTRACT = Operation
RUNNING = RunningConfig(BrokerConfig())


def of_topic(settings: dict[str, str], *changes: tuple[str, int, str | None]) -> dict[str, str]:
    return altered(settings, [Alteration(*each) for each in changes], TopicConfig.find)


def test_each_change_is_made_and_the_settings_before_stay_as_they_were() -> None:
    before = {"retention.ms": "1", "segment.ms": "2"}
    after = of_topic(before, ("retention.ms", SET, "3"), ("segment.ms", DELETE, None))
    assert after == {"retention.ms": "3"}
    assert before == {"retention.ms": "1", "segment.ms": "2"}
    assert of_topic(before, ("never.set", DELETE, None)) == before


@pytest.mark.parametrize(
    ("before", "operation", "value", "after"),
    [
        (None, APPEND, "compact", "delete,compact"),  # to the key's default
        ("compact", APPEND, "delete", "compact,delete"),
        ("compact", APPEND, "compact", "compact"),
        ("", APPEND, "delete", "delete"),
        ("delete", APPEND, "", "delete,"),  # refused when it is read
        (None, SUBTRACT, "delete", ""),
        ("delete,compact", SUBTRACT, "delete", "compact"),
        ("delete,compact", SUBTRACT, "compact,delete", ""),
        ("compact", SUBTRACT, "delete", "compact"),
    ],
)
def test_lists_grow_and_shrink_by_elements(
    before: str | None, operation: Operation, value: str, after: str
) -> None:
    settings = {} if before is None else {"cleanup.policy": before}
    assert of_topic(settings, ("cleanup.policy", operation, value)) == {"cleanup.policy": after}


@pytest.mark.parametrize("name", ["retention.ms", "compression.type", "no.such.key"])
def test_what_is_no_list_is_not_appended_to(name: str) -> None:
    with pytest.raises(KafkaError) as refusal:
        of_topic({}, (name, APPEND, "1"))
    assert refusal.value.code == ErrorCode.INVALID_CONFIG
    assert refusal.value.detail == f"Can't APPEND to key {name} because its type is not LIST."
    with pytest.raises(KafkaError, match="append is not allowed for config key"):
        altered(
            {}, [Alteration(name, APPEND, "1")], TopicConfig.find, not_a_list=NOT_A_BROKERS_LIST
        )


@pytest.mark.parametrize("operation", [-1, 4, 127])
def test_an_operation_that_does_not_exist_is_refused(operation: int) -> None:
    with pytest.raises(KafkaError, match=f"Unknown operations type {operation}"):
        of_topic({}, ("retention.ms", operation, "1"))


def test_a_key_twice_and_a_value_missing_are_refused_before_anything_else() -> None:
    twice = [Alteration("a", SET, "1"), Alteration("a", DELETE, None)]
    with pytest.raises(KafkaError, match="duplicate config keys"):
        check_alterations(twice)
    missing = [Alteration("a", SET, None), Alteration("b", DELETE, None), Alteration("c", 2, None)]
    with pytest.raises(KafkaError, match="Null value not supported for : a, c"):
        check_alterations(missing)
    check_alterations([])


def refusal_of(layer: dict[str, str], *, every_broker: bool = True) -> str:
    with pytest.raises(KafkaError) as refusal:
        check_broker_layer(RUNNING, layer, every_broker=every_broker)
    assert refusal.value.code == ErrorCode.INVALID_REQUEST
    return refusal.value.detail


def test_every_key_changes_on_a_running_broker_or_is_refused_by_name() -> None:
    for key in BrokerConfig.KEYS.values():
        text = render(key.default)
        layer = {key.name: "1" if text is None else text}
        if key.update is READ_ONLY:
            words = f"Cannot update these configs dynamically: [{key.name}]"
            assert refusal_of(layer) == refusal_of(layer, every_broker=False) == words
        else:
            check_broker_layer(RUNNING, layer, every_broker=True)
            check_broker_layer(RUNNING, layer, every_broker=False)


def test_keys_without_meaning_are_taken_where_kafka_takes_them() -> None:
    for name in CHANGE_WHILE_RUNNING:
        assert why_ignored(name) is not None, name
        check_broker_layer(RUNNING, {name: "1"}, every_broker=True)
    assert "dynamically: [process.roles]" in refusal_of({"process.roles": "broker"})
    assert "dynamically: [broker.id]" in refusal_of({"broker.id": "3"})
    assert refusal_of({"no.such.key": "1"}) == "Unknown broker config name: no.such.key"


def test_values_are_checked_alone_and_together_with_the_other_layer() -> None:
    assert "Not a number of type INT" in refusal_of({"message.max.bytes": "x"})
    assert "must be unlimited" in refusal_of({"log.retention.ms": "0"}, every_broker=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.roll.ms", "0"),
        ("log.roll.jitter.ms", "-1"),
        ("log.cleaner.dedupe.buffer.size", "1048576"),
        ("max.connections", "0"),
        ("max.connections.per.ip", "0"),
    ],
)
def test_limits_that_no_type_tells_hold_on_a_running_broker(name: str, text: str) -> None:
    assert name in refusal_of({name: text})


ELEMENTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True)


@given(before=ELEMENTS, change=ELEMENTS.filter(bool))
def test_lists_behave_as_sets_that_keep_their_order(before: list[str], change: list[str]) -> None:
    settings = {"cleanup.policy": ",".join(before)}
    words = ",".join(change)
    appended = of_topic(settings, ("cleanup.policy", APPEND, words))
    left = [each for each in change if each not in before]
    assert appended == {"cleanup.policy": ",".join([*before, *left])}
    assert of_topic(appended, ("cleanup.policy", APPEND, words)) == appended
    subtracted = of_topic(appended, ("cleanup.policy", SUBTRACT, words))
    kept = [each for each in before if each not in change]
    assert subtracted == {"cleanup.policy": ",".join(kept)}
