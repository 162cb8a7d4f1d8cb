"""`RunningConfig`: the broker's configuration as it holds now, under what was set while it runs.

Three layers, the first that has a key wins: what was set for this broker alone, what was set for
every broker, what it was started with (KIP-226). The first two come from the cluster's metadata;
whoever keeps something computed from a value asks to be told of changes, everybody else reads
`now` when he needs a value.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.table import READ_ONLY, ConfigError

logger = logging.getLogger(__name__)

Texts = Mapping[str, str]
OnChange = Callable[[BrokerConfig, BrokerConfig], None]
"""Called with the configuration before and now."""

_NOTHING: Texts = MappingProxyType({})


class RunningConfig:
    """One broker's configuration. Public attributes are for reading; `take` changes them."""

    def __init__(self, static: BrokerConfig) -> None:
        self.static = static
        self.now = static
        self.every_broker = _NOTHING
        self.this_broker = _NOTHING
        self._callbacks: list[OnChange] = []

    def on_change(self, callback: OnChange) -> None:
        """Call it after each change from now on; it must neither wait nor raise."""
        self._callbacks.append(callback)

    def take(self, *, every_broker: Texts, this_broker: Texts) -> None:
        """Go by these from now on. What cannot be used (an older version wrote it) is left out."""
        every_broker, this_broker = _usable(every_broker), _usable(this_broker)
        before = self.now
        try:
            self.now = self.with_layers(every_broker, this_broker)
        except ConfigError as error:
            logger.error("the configuration stays as it was: %s", error)
            return
        self.every_broker, self.this_broker = every_broker, this_broker
        changed = [name for name in BrokerConfig.KEYS if self.now.value(name) != before.value(name)]
        if changed:
            logger.info("changed while running: %s", ", ".join(sorted(changed)))
            for callback in self._callbacks:
                callback(before, self.now)

    def with_layers(self, every_broker: Texts, this_broker: Texts) -> BrokerConfig:
        """What would hold with these two layers. ConfigError."""
        layers = _own_keys({**every_broker, **this_broker})
        config = self.static.with_changes(layers) if layers else self.static
        config.check()
        return config


def _own_keys(texts: Texts) -> dict[str, str]:
    """Without Kafka's keys that are accepted and have no meaning here."""
    return {name: text for name, text in texts.items() if name in BrokerConfig.KEYS}


def _usable(texts: Texts) -> Texts:
    usable = dict(texts)
    for name, text in _own_keys(texts).items():
        key = BrokerConfig.KEYS[name]
        try:
            if key.update is READ_ONLY:
                raise ConfigError(name, f"{name} does not change while a broker runs")
            key.parse(text)
        except ConfigError as error:
            logger.error("a stored setting is left out: %s", error)
            del usable[name]
    return usable
