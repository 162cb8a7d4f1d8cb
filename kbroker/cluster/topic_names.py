"""What a topic may be called (pure). Rules and messages: `org.apache.kafka.common.internals.Topic`.

Clients show the message to people, so it is Kafka's own, word for word.
"""

from __future__ import annotations

import re

from wire.errors import ErrorCode, KafkaError

MAX_TOPIC_NAME_LENGTH = 249
"""249 = 255 (a file name) less `-`, the partition's digits and room for `.delete`."""

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]+")


def validate_topic_name(name: str) -> None:
    """KafkaError(INVALID_TOPIC_EXCEPTION), with Kafka's message, unless the name is legal."""
    problem = topic_name_problem(name)
    if problem is not None:
        raise KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {problem}")


def topic_name_problem(name: str) -> str | None:
    """What is wrong with the name, in Kafka's words; None if nothing is."""
    if not name:
        return "the empty string is not allowed"
    if name in (".", ".."):
        return f"'{name}' is not allowed"
    if len(name) > MAX_TOPIC_NAME_LENGTH:
        return (
            f"the length of '{name}' is longer than the max allowed length {MAX_TOPIC_NAME_LENGTH}"
        )
    if not _LEGAL_NAME.fullmatch(name):
        return (
            f"'{name}' contains one or more characters other than "
            "ASCII alphanumerics, '.', '_' and '-'"
        )
    return None


def normalised_topic_name(name: str) -> str:
    """Two names collide (in metrics, '.' becomes '_') if and only if these are equal."""
    return name.replace(".", "_")
