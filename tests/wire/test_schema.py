"""Declarations: versions, constructors, equality, and what instances refuse."""

import pytest

from wire.messages.produce import PartitionProduceResponse, ProduceRequest, ProduceResponse
from wire.schema import NO_END, NO_TAGS, Struct, array, int32, parse_versions, string


class Part(Struct):
    """A part of Whole."""

    number: int = int32()


class Whole(Struct, versions="1-3", flexible="2+"):
    """One required field and three with defaults."""

    name: str = string()
    note: str | None = string("2+", nullable="2+", default=None)
    parts: list[Part] = array(Part, "2+", default=())
    count: int = int32("3+", default=-1)


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("0+", range(NO_END)),
        ("3+", range(3, NO_END)),
        ("0-12", range(13)),
        ("7", range(7, 8)),
        ("", range(0)),
    ],
)
def test_versions(text, versions):
    assert parse_versions(text) == versions


def test_versions_of_a_message():
    assert range(3, 14) == ProduceRequest.VERSIONS
    assert 9 in ProduceResponse.FLEXIBLE
    assert 8 not in ProduceResponse.FLEXIBLE


def test_fields_without_a_default_are_required():
    with pytest.raises(TypeError, match="name"):
        Whole()
    assert Whole(name="n") == Whole(name="n", note=None, parts=[], count=-1)


def test_unknown_fields_are_refused():
    with pytest.raises(TypeError, match="nmae"):
        Whole(nmae="n")
    with pytest.raises(AttributeError):
        Whole(name="n").nmae = "m"


def test_default_lists_are_not_shared():
    one, other = Whole(name="a"), Whole(name="b")
    one.parts.append(Part(number=1))
    assert other.parts == []


def test_equality_is_by_class_fields_and_unknown_tags():
    one, other = Whole(name="a"), Whole(name="a")
    assert one == other
    assert one.unknown_tags is NO_TAGS
    other.unknown_tags = {7: b""}
    assert one != other
    assert Part(number=1) != 1


def test_a_message_shows_its_fields():
    whole = Whole(name="a", parts=[Part(number=2)])
    whole.unknown_tags = {7: b"x"}
    assert repr(whole) == (
        "Whole(name='a', note=None, parts=[Part(number=2)], count=-1, unknown_tags={7: b'x'})"
    )


def test_messages_are_small():
    """Slots: a broker holds thousands of partitions' worth of these at a time."""
    assert not hasattr(PartitionProduceResponse(index=0, error_code=0, base_offset=0), "__dict__")
