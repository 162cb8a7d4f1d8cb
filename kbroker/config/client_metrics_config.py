"""`ClientMetricsConfig`: what a subscription of client metrics holds (KIP-714).

Subscriptions are checked, stored and described, as by a Kafka without a receiver of metrics; no
client is asked for any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kbroker.config.table import DISTINCT, ConfigError, ConfigKey, ConfigTable, integer, strings
from wire.errors import ErrorCode, KafkaError

_LEAST_INTERVAL_MS, _MOST_INTERVAL_MS = 100, 3_600_000
_MATCHED = frozenset(
    {
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    }
)


class ClientMetricsConfig(ConfigTable):
    """One subscription."""

    KIND = "client metrics"

    interval_ms: int = integer(
        "interval.ms", default=300_000, doc="How often matching clients would push metrics."
    )
    match: tuple[str, ...] = strings(
        "match",
        default=(),
        valid=DISTINCT,
        doc="Which clients: what they say of themselves=a pattern.",
    )
    metrics: tuple[str, ...] = strings(
        "metrics", default=(), valid=DISTINCT, doc="Prefixes of the names of metrics; * for all."
    )

    @classmethod
    def find(cls, name: str) -> ConfigKey | None:
        return cls.KEYS.get(name)


def client_metrics_config(settings: Mapping[str, str]) -> ClientMetricsConfig:
    """The subscription of these settings. ConfigError, and KafkaError(INVALID_REQUEST) where Kafka
    answers that instead.
    """
    for name in settings:
        if name not in ClientMetricsConfig.KEYS:
            raise KafkaError(
                ErrorCode.INVALID_REQUEST, f"Unknown client metrics configuration: {name}"
            )
    config = ClientMetricsConfig.parse(settings)
    if not _LEAST_INTERVAL_MS <= config.interval_ms <= _MOST_INTERVAL_MS:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"Invalid value {config.interval_ms} for interval.ms, interval must be between"
            f" {_LEAST_INTERVAL_MS} and {_MOST_INTERVAL_MS} (1 hour)",
        )
    for pattern in config.match:
        _check_pattern(pattern)
    return config


def _check_pattern(text: str) -> None:
    name, _, pattern = text.partition("=")
    try:
        sound = name.strip() in _MATCHED and bool(re.compile(pattern) and pattern)
    except (re.error, OverflowError, RecursionError):  # a repetition too large, parts too deep
        sound = False
    if not sound:
        raise ConfigError("match", f"Illegal client matching pattern: {text}")
