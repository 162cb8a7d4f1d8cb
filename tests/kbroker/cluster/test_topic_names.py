"""Legal names, Kafka's messages for the others, and collisions."""

import pytest

from kbroker.cluster.topic_names import normalised_topic_name, validate_topic_name
from wire.errors import ErrorCode, KafkaError

BAD_CHARACTERS = (
    "Topic name is invalid: '{}' contains one or more characters other than "
    "ASCII alphanumerics, '.', '_' and '-'"
)


@pytest.mark.parametrize("name", ["a", "A-z_0.9", "...", "-", "__consumer_offsets", "x" * 249])
def test_legal_names(name: str) -> None:
    validate_topic_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Topic name is invalid: the empty string is not allowed"),
        (".", "Topic name is invalid: '.' is not allowed"),
        ("..", "Topic name is invalid: '..' is not allowed"),
        ("a b", BAD_CHARACTERS.format("a b")),
        ("a/b", BAD_CHARACTERS.format("a/b")),
        ("ä", BAD_CHARACTERS.format("ä")),
        ("a\n", BAD_CHARACTERS.format("a\n")),
        (
            "x" * 250,
            f"Topic name is invalid: the length of '{'x' * 250}' is longer than the max allowed "
            "length 249",
        ),
    ],
)
def test_bad_names_are_refused_in_kafkas_words(name: str, message: str) -> None:
    with pytest.raises(KafkaError) as caught:
        validate_topic_name(name)
    assert caught.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION
    assert caught.value.detail == message


def test_names_collide_where_only_dots_and_underscores_differ() -> None:
    assert normalised_topic_name("a.b_c") == normalised_topic_name("a_b.c")
    assert normalised_topic_name("a.b") != normalised_topic_name("a-b")
