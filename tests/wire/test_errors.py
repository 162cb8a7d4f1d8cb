"""Error codes and names are Kafka's."""

import inspect

import kafka.errors
import pytest
from kio.schema import errors as kio_errors

from wire.errors import ErrorCode, KafkaError


def test_codes_and_names_are_those_of_kio():
    assert {code.name.lower(): int(code) for code in ErrorCode} == {
        code.name: int(code) for code in kio_errors.ErrorCode
    }


# Where kafka-python has a word of its own.
KAFKA_PYTHON_WORDS = {
    "UNKNOWN": "UNKNOWN_SERVER_ERROR",
    "NO_ERROR": "NONE",
    "NOT_LEADER_FOR_PARTITION": "NOT_LEADER_OR_FOLLOWER",
    "MESSAGE_SIZE_TOO_LARGE": "MESSAGE_TOO_LARGE",
    "INVALID_TOPIC": "INVALID_TOPIC_EXCEPTION",
    "INVALID_REPLICATION_ASSIGNMENT": "INVALID_REPLICA_ASSIGNMENT",
}


def kafka_python_errors() -> list[type]:
    classes = [cls for _, cls in inspect.getmembers(kafka.errors, inspect.isclass)]
    return [cls for cls in classes if isinstance(getattr(cls, "errno", None), int)]


@pytest.mark.parametrize("cls", kafka_python_errors(), ids=lambda cls: cls.__name__)
def test_codes_are_those_of_kafka_python(cls):
    assert KAFKA_PYTHON_WORDS.get(cls.message, cls.message) == ErrorCode(cls.errno).name


def test_a_refusal_names_its_code():
    error = KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert str(error) == "UNKNOWN_TOPIC_OR_PARTITION"
    error = KafkaError(ErrorCode.INVALID_CONFIG, "retention.ms: not a number")
    assert str(error) == "INVALID_CONFIG: retention.ms: not a number"
    assert (error.code, error.detail) == (40, "retention.ms: not a number")
