"""Kafka's text form of ids."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.cluster.topic_ids import ZERO_ID, parse_topic_id, random_id, topic_id_text


@given(st.binary(min_size=16, max_size=16))
def test_text_and_bytes_agree(topic_id: bytes) -> None:
    text = topic_id_text(topic_id)
    assert len(text) == 22
    assert parse_topic_id(text) == topic_id


def test_zero_is_written_as_kafka_writes_it() -> None:
    assert topic_id_text(ZERO_ID) == "AAAAAAAAAAAAAAAAAAAAAA"


@pytest.mark.parametrize(
    "text", ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAA=", "é" * 22, "+" * 22]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        parse_topic_id(text)


def test_random_ids_are_version_4_and_do_not_look_like_options() -> None:
    source = random.Random(7)
    for new_id in (random_id(source) for _ in range(500)):
        assert new_id[6] >> 4 == 4
        assert new_id[8] >> 6 == 2
        assert not topic_id_text(new_id).startswith("-")
