"""The levels of this process's loggers as resources of type BROKER_LOGGER (KIP-412).

Kafka's names of levels on Python's: TRACE is below DEBUG, FATAL is CRITICAL. Loggers are those of
our packages and the root, which all of them follow until they are set. Nothing is stored: a start
begins with the level that it is given.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from kbroker.config.altering import Alteration, Operation
from kbroker.config.describing import ConfigSource, DescribedConfig
from wire.errors import ErrorCode, KafkaError

ROOT = "root"
PACKAGES = ("kbroker", "log", "coordinator", "wire")
LEVELS: Mapping[str, int] = {
    "TRACE": 5,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}


def describe_loggers() -> list[DescribedConfig]:
    """Every logger with the level that it goes by."""
    return [
        DescribedConfig(
            name, _level_name(logger), ConfigSource.DYNAMIC_BROKER_LOGGER, documentation=""
        )
        for name, logger in sorted(_loggers().items())
    ]


def check_levels(alterations: Iterable[Alteration]) -> None:
    """KafkaError, in Kafka's words: an unknown logger, a bad level, an operation on lists."""
    loggers = _loggers()
    for each in alterations:
        if each.operation not in (Operation.SET, Operation.DELETE):
            raise KafkaError(ErrorCode.INVALID_REQUEST, _no_such_operation(each.operation))
        if each.name not in loggers:
            raise KafkaError(ErrorCode.INVALID_CONFIG, f"Logger {each.name} does not exist!")
        if each.operation == Operation.DELETE:
            if each.name == ROOT:
                raise KafkaError(
                    ErrorCode.INVALID_REQUEST,
                    "Removing the log level of the root logger is not allowed",
                )
        elif each.value not in LEVELS:
            raise KafkaError(
                ErrorCode.INVALID_CONFIG,
                f"Cannot set the log level of {each.name} to {each.value} as it is not a supported"
                f" log level. Valid log levels are {', '.join(sorted(LEVELS))}",
            )


def set_levels(alterations: Iterable[Alteration]) -> None:
    """What `check_levels` has let pass, from now on."""
    for each in alterations:
        level = logging.NOTSET if each.value is None else LEVELS[each.value]
        _loggers()[each.name].setLevel(level if each.operation == Operation.SET else 0)


def _no_such_operation(operation: int) -> str:
    if operation in (Operation.APPEND, Operation.SUBTRACT):
        word = Operation(operation).name
        return f"{word} operation is not allowed for the BROKER_LOGGER resource"
    return f"Unknown operation type {operation} is not allowed for the BROKER_LOGGER resource"


def _loggers() -> dict[str, logging.Logger]:
    made = logging.Logger.manager.loggerDict
    names = {name for name in made if name.split(".")[0] in PACKAGES} | set(PACKAGES)
    return {ROOT: logging.getLogger(), **{name: logging.getLogger(name) for name in sorted(names)}}


def _level_name(logger: logging.Logger) -> str:
    """The most severe of Kafka's levels that is not above the logger's."""
    level = logger.getEffectiveLevel()
    return max(
        (each for each in LEVELS if LEVELS[each] <= level), key=LEVELS.__getitem__, default="TRACE"
    )
