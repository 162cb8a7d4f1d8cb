"""The declaration idiom: parsing, refusals in Kafka's words, immutability."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbroker.config.table import (
    INT_MAX,
    LONG_MAX,
    SHORT_MAX,
    ConfigError,
    ConfigTable,
    at_least,
    between,
    boolean,
    double,
    integer,
    long,
    one_of,
    render,
    short,
    some_of,
    string,
    strings,
)


class Example(ConfigTable):
    a_switch: bool = boolean("a.switch", default=True, doc="A boolean.")
    a_short: int = short("a.short", default=3, synonyms=("another.short",), doc="A short.")
    an_int: int = integer("an.int", default=5, kafka=6, valid=between(1, 9), doc="An int.")
    a_long: int | None = long("a.long", default=None, valid=at_least(0), doc="A long.")
    a_double: float = double("a.double", default=0.5, doc="A double.")
    a_word: str = string("a.word", default="x", valid=one_of("x", "y"), doc="A word.")
    a_list: tuple[str, ...] = strings(
        "a.list", default=("x",), valid=some_of("x", "y"), doc="A list."
    )


class Extended(Example):
    one_more: int = integer("one.more", default=1, doc="A key of its own.")


def test_a_table_holds_its_defaults():
    table = Example()
    assert (table.a_switch, table.a_short, table.an_int, table.a_long) == (True, 3, 5, None)
    assert (table.a_double, table.a_word, table.a_list) == (0.5, "x", ("x",))
    assert table.given == frozenset()


def test_texts_are_parsed_by_type_and_spaces_around_them_dropped():
    table = Example.parse(
        {
            "a.switch": " False ",
            "a.long": "+12",
            "a.double": "1e3",
            "a.list": "x , y",
            "a.word": "y",
        }
    )
    assert (table.a_switch, table.a_long, table.a_double) == (False, 12, 1000.0)
    assert (table.a_list, table.a_word) == (("x", "y"), "y")
    assert table.given == {"a.switch", "a.long", "a.double", "a.list", "a.word"}


def test_a_synonym_sets_its_key():
    table = Example.parse({"another.short": "9"})
    assert table.a_short == 9
    assert table.given == {"a.short"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.switch", "yes", "Expected value to be either true or false"),
        ("an.int", "abc", "Not a number of type INT"),
        ("an.int", "1_000", "Not a number of type INT"),
        ("an.int", "٣", "Not a number of type INT"),
        ("an.int", "2147483648", "Not a number of type INT"),
        ("an.int", "0", "Value must be at least 1"),
        ("an.int", "10", "Value must be no more than 9"),
        ("a.short", "32768", "Not a number of type SHORT"),
        ("a.long", "", "Not a number of type LONG"),
        ("a.double", "half", "Not a number of type DOUBLE"),
        ("a.word", "z", "String must be one of: x, y"),
    ],
)
def test_a_bad_value_is_refused_in_kafkas_words(name, text, message):
    with pytest.raises(ConfigError) as refusal:
        Example.parse({name: text})
    assert str(refusal.value) == f"Invalid value {text} for configuration {name}: {message}"
    assert refusal.value.key == name


def test_an_unknown_key_is_refused():
    with pytest.raises(ConfigError, match=r"Unknown broker config name: no\.such"):
        Example.parse({"no.such": "1"})


def test_of_a_list_the_element_at_fault_is_shown():
    words = "Invalid value z for configuration a.list: String must be one of: x, y"
    with pytest.raises(ConfigError, match=words):
        Example.parse({"a.list": "x,z"})


def test_a_list_has_no_empty_elements():
    assert Example.parse({"a.list": ""}).a_list == ()
    with pytest.raises(ConfigError, match=r"Configuration 'a\.list' values must not be empty\."):
        Example.parse({"a.list": "x,"})


def test_the_constructor_checks_values_as_parsing_does():
    assert Example(an_int=7).given == {"an.int"}
    with pytest.raises(ConfigError):
        Example(an_int=0)


def test_a_table_cannot_be_changed():
    with pytest.raises(AttributeError, match="immutable"):
        Example().an_int = 7  # type: ignore[misc]


def test_changes_make_a_new_table_and_none_goes_back_to_the_default():
    table = Example.parse({"an.int": "7", "a.word": "y"})
    changed = table.with_changes({"an.int": None, "a.short": "1"})
    assert (changed.an_int, changed.a_word, changed.a_short) == (5, "y", 1)
    assert changed.given == {"a.word", "a.short"}
    assert table.an_int == 7


def test_tables_that_inherit_hold_all_keys():
    assert set(Extended.KEYS) == {*Example.KEYS, "one.more"}
    assert "one.more" not in Example.KEYS
    assert Extended.parse({"one.more": "2", "an.int": "3"}).an_int == 3


def test_an_attribute_is_its_key():
    with pytest.raises(AssertionError):

        class Wrong(ConfigTable):
            other: int = integer("a.key", default=1, doc="Named apart.")


@given(st.integers(-SHORT_MAX - 1, SHORT_MAX), st.integers(0, LONG_MAX), st.booleans())
def test_what_is_rendered_parses_to_the_same(number, large, switch):
    table = Example.parse(
        {"a.short": str(number), "a.long": str(large), "a.switch": str(switch).lower()}
    )
    texts = {name: render(table.value(name)) for name in Example.KEYS}
    again = Example.parse({name: text for name, text in texts.items() if text is not None})
    assert {name: again.value(name) for name in Example.KEYS} == {
        name: table.value(name) for name in Example.KEYS
    }


def test_values_are_shown_as_kafka_shows_them():
    shown = [
        render(value) for value in (True, False, None, 0.5, 1.7976931348623157e308, ("a", "b"))
    ]
    assert shown == ["true", "false", None, "0.5", "1.7976931348623157E308", "a,b"]
    assert render(INT_MAX) == "2147483647"
