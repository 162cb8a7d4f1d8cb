"""What AlterConfigs and IncrementalAlterConfigs make of a resource's settings (pure).

Each function takes what was set until now and answers what is to be set, or raises KafkaError in
Kafka's words; nothing half done comes out, so one bad key undoes its whole resource (KIP-339).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.ignored_keys import changes_while_running, why_ignored
from kbroker.config.running_config import RunningConfig
from kbroker.config.table import (
    READ_ONLY,
    ConfigError,
    ConfigKey,
    ConfigType,
    render,
)
from wire.errors import ErrorCode, KafkaError


class Operation(enum.IntEnum):
    """What to do with a key; the numbers are those of IncrementalAlterConfigs."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True, slots=True)
class Alteration:
    """One key of a request. `operation` is as the client sent it, maybe none of `Operation`."""

    name: str
    operation: int
    value: str | None


_OPERATIONS = frozenset(Operation)
NOT_A_LIST = "Can't {WORD} to key {name} because its type is not LIST."
NOT_A_BROKERS_LIST = "Config value {word} is not allowed for config key: {name}"

Texts = Mapping[str, str]
FindKey = Callable[[str], ConfigKey | None]


def check_alterations(alterations: Iterable[Alteration]) -> None:
    """What no resource accepts: KafkaError(INVALID_REQUEST)."""
    named: dict[str, None] = {}
    without_value = []
    for each in alterations:
        if each.name in named:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Error due to duplicate config keys")
        named[each.name] = None
        if each.value is None and each.operation != Operation.DELETE:
            without_value.append(each.name)
    if without_value:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"Null value not supported for : {', '.join(without_value)}"
        )


def altered(
    settings: Texts,
    alterations: Iterable[Alteration],
    find: FindKey,
    *,
    not_a_list: str = NOT_A_LIST,
) -> dict[str, str]:
    """The settings after the alterations, which `check_alterations` has let pass.

    `find` gives the row of a key's name. KafkaError(INVALID_CONFIG): APPEND or SUBTRACT where
    there is no list, in the words of `not_a_list`; INVALID_REQUEST: no operation. An append to
    what is not set starts from the key's default, as in Kafka.
    """
    result = dict(settings)
    for each in alterations:
        if each.operation not in _OPERATIONS:
            raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown operations type {each.operation}")
        if each.operation == Operation.DELETE:
            result.pop(each.name, None)
            continue
        assert each.value is not None, "checked before"
        if each.operation == Operation.SET:
            result[each.name] = each.value
        else:
            key = find(each.name)
            if key is None or key.type is not ConfigType.LIST:
                word = Operation(each.operation).name
                words = not_a_list.format(WORD=word, word=word.lower(), name=each.name)
                raise KafkaError(ErrorCode.INVALID_CONFIG, words)
            result[each.name] = _changed_list(result.get(each.name), each, key)
    return result


def _changed_list(text: str | None, change: Alteration, key: ConfigKey) -> str:
    if text is None:
        text = render(key.default) or ""
    elements = [element for element in text.split(",") if element]
    for element in (change.value or "").split(","):
        if change.operation == Operation.APPEND and element not in elements:
            elements.append(element)
        elif change.operation == Operation.SUBTRACT and element in elements:
            elements.remove(element)
    return ",".join(elements)


def check_broker_layer(running: RunningConfig, layer: Texts, *, every_broker: bool) -> None:
    """Whether this broker could go by what is to be set for it, or for every broker.

    KafkaError(INVALID_REQUEST): keys that are read-only or that nobody knows, and values that
    are refused.
    """
    fixed = [name for name in layer if _is_fixed(name)]
    if fixed:
        raise _refused(f"Cannot update these configs dynamically: [{', '.join(fixed)}]")
    for name in layer:
        if name not in BrokerConfig.KEYS and why_ignored(name) is None:
            raise _refused(f"Unknown broker config name: {name}")
    try:
        for name, text in layer.items():
            if name in BrokerConfig.KEYS:
                BrokerConfig.KEYS[name].parse(text)
        if every_broker:
            config = running.with_layers(layer, running.this_broker)
        else:
            config = running.with_layers(running.every_broker, layer)
    except ConfigError as error:
        raise _refused(str(error)) from None
    if "max.connections" in layer and config.max_connections == 0:
        # Nobody could ever set it back.
        raise _refused("Invalid max.connections 0")


def _is_fixed(name: str) -> bool:
    key = BrokerConfig.find(name)
    if key is not None:
        return key.update is READ_ONLY
    return why_ignored(name) is not None and not changes_while_running(name)


def _refused(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)
