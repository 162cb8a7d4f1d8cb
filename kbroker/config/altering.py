"""What AlterConfigs and IncrementalAlterConfigs make of a resource's settings (pure).

Each function takes what was set until now and answers what is to be set, or raises KafkaError in
Kafka's words; nothing half done comes out, so one bad key undoes its whole resource (KIP-339).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kbroker.config.table import ConfigKey, ConfigType, render
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


def altered(settings: Texts, alterations: Iterable[Alteration], find: FindKey) -> dict[str, str]:
    """The settings after the alterations, which `check_alterations` has let pass.

    `find` gives the row of a key's name. KafkaError(INVALID_CONFIG): APPEND or SUBTRACT where
    there is no list. An append to what is not set starts from the key's default, as in Kafka.
    """
    result = dict(settings)
    for each in alterations:
        if each.operation == Operation.DELETE:
            result.pop(each.name, None)
            continue
        assert each.value is not None, "checked before"
        if each.operation == Operation.SET:
            result[each.name] = each.value
        else:
            result[each.name] = _changed_list(result.get(each.name), each, find(each.name))
    return result


def _changed_list(text: str | None, change: Alteration, key: ConfigKey | None) -> str:
    operation = Operation(change.operation)
    if key is None or key.type is not ConfigType.LIST:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Can't {operation.name} to key {change.name} because its type is not LIST.",
        )
    if text is None:
        text = render(key.default) or ""
    elements = [element for element in text.split(",") if element]
    for element in (change.value or "").split(","):
        if operation is Operation.APPEND and element not in elements:
            elements.append(element)
        elif operation is Operation.SUBTRACT and element in elements:
            elements.remove(element)
    return ",".join(elements)
