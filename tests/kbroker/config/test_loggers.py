"""Levels of loggers: Kafka's names for them on ours (KIP-412)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from kbroker.config.altering import Alteration, Operation
from kbroker.config.loggers import LEVELS, check_levels, describe_loggers, set_levels
from wire.errors import ErrorCode, KafkaError

SET, DELETE, APPEND, _ = Operation
NAME = "kbroker.config.running_config"


@pytest.fixture(autouse=True)
def _levels_stay() -> Iterator[None]:
    loggers = [logging.getLogger(), logging.getLogger(NAME)]
    before = [each.level for each in loggers]
    yield
    for each, level in zip(loggers, before, strict=True):
        each.setLevel(level)


def shown(name: str) -> str | None:
    (found,) = [each for each in describe_loggers() if each.name == name]
    return found.value


def test_the_root_and_our_packages_are_listed_and_nobody_elses() -> None:
    names = [each.name for each in describe_loggers()]
    assert {"root", "kbroker", "log", "coordinator", "wire"} <= set(names)
    assert {name.split(".")[0] for name in names} <= {
        "root",
        "kbroker",
        "log",
        "coordinator",
        "wire",
    }
    assert names == sorted(names)


@pytest.mark.parametrize("word", LEVELS)
def test_a_level_holds_from_now_on_and_goes_back_to_the_parents(word: str) -> None:
    logging.getLogger().setLevel(logging.WARNING)
    set_levels([Alteration(NAME, SET, word)])
    assert shown(NAME) == word
    assert logging.getLogger(NAME).isEnabledFor(LEVELS[word])
    set_levels([Alteration(NAME, DELETE, None)])
    assert shown(NAME) == shown("kbroker")


@pytest.mark.parametrize(
    ("alteration", "code"),
    [
        (Alteration("no.such.logger", SET, "INFO"), ErrorCode.INVALID_CONFIG),
        (Alteration("no.such.logger", DELETE, None), ErrorCode.INVALID_CONFIG),
        (Alteration("root", SET, "LOUD"), ErrorCode.INVALID_CONFIG),
        (Alteration("root", SET, "info"), ErrorCode.INVALID_CONFIG),
        (Alteration("root", DELETE, None), ErrorCode.INVALID_REQUEST),
        (Alteration("root", APPEND, "INFO"), ErrorCode.INVALID_REQUEST),
        (Alteration("root", 9, "INFO"), ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_is_refused_changes_nothing(alteration: Alteration, code: ErrorCode) -> None:
    with pytest.raises(KafkaError) as refusal:
        check_levels([Alteration(NAME, SET, "ERROR"), alteration])
    assert refusal.value.code == code


def test_a_level_between_two_names_shows_the_lower_one() -> None:
    logging.getLogger(NAME).setLevel(25)
    assert shown(NAME) == "INFO"
    logging.getLogger(NAME).setLevel(1)
    assert shown(NAME) == "TRACE"
