"""Names of directories, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log.directory_names import is_deleted, of_deleted, of_partition, of_stray, parse

TOPICS = st.text("abcXYZ019._-", min_size=1, max_size=249)
NUMBERS = st.integers(0, 2**31 - 1)
IDS = st.binary(min_size=16, max_size=16)


@given(TOPICS, NUMBERS)
def test_a_partitions_directory_tells_topic_and_number(topic: str, number: int) -> None:
    name = of_partition(topic, number)
    assert parse(name) == (topic, number)
    assert not is_deleted(name)


@given(TOPICS, NUMBERS, IDS)
def test_what_is_deleted_or_stray_is_no_partition(topic: str, number: int, unique: bytes) -> None:
    deleted, stray = of_deleted(topic, number, unique), of_stray(topic, number, unique)
    assert parse(deleted) is None
    assert parse(stray) is None
    assert is_deleted(deleted)
    assert not is_deleted(stray)
    assert max(len(deleted), len(stray)) <= 255


def test_kafkas_own_spelling() -> None:
    unique = bytes.fromhex("0123456789abcdef0123456789abcdef")
    assert of_deleted("a.b", 3, unique) == "a.b-3.0123456789abcdef0123456789abcdef-delete"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-",
        "-0",
        "topic",
        "topic-",
        "topic-x",
        "topic-01",
        "a b-0",
        "t-0.tmp",
        "meta.properties",
    ],
)
def test_other_names_are_no_partitions(name: str) -> None:
    assert parse(name) is None
