"""Where the broker's configuration comes from, and which source wins.

In order, the later over the earlier: Kafka's defaults as `broker_config` declares them, a
properties file, `KAFKA_*` environment variables, command-line options, `--set`. The environment is
over the file because the official image has it so: one file serves several brokers, and each adds
what is its own. What is typed at this very start is over both.

Every refusal is one line that names the key and where it stands (`server.properties:12`).
"""

from __future__ import annotations

import dataclasses
import difflib
import io
import re
from collections.abc import Iterator, Mapping, Sequence

from kbroker.config.broker_config import BrokerConfig
from kbroker.config.ignored_keys import REFUSED, why_ignored, why_not_yet
from kbroker.config.table import ConfigError
from kbroker.config.topic_config import TopicConfig

# Variables of the official image and of its start scripts that are not keys of server.properties.
NOT_KEYS = frozenset(
    {
        "KAFKA_CLUSTER_ID",
        "KAFKA_DEBUG",
        "KAFKA_GC_LOG_OPTS",
        "KAFKA_HEAP_OPT",
        "KAFKA_HEAP_OPTS",
        "KAFKA_HOME",
        "KAFKA_JMX_HOSTNAME",
        "KAFKA_JMX_OPTS",
        "KAFKA_JMX_PORT",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "KAFKA_LOG4J_CMD_OPTS",
        "KAFKA_LOG4J_LOGGERS",
        "KAFKA_LOG4J_OPTS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL",
        "KAFKA_MODE",
        "KAFKA_OPTS",
        "KAFKA_TOOLS_LOG4J_LOGLEVEL",
        "KAFKA_VERSION",
    }
)
# Kubernetes and Docker links give these to every container beside a service named "kafka".
_SERVICE_LINK = re.compile(
    r"KAFKA_(SERVICE_(HOST|PORT)(_.*)?|PORT(_[0-9]+_(TCP|UDP).*)?|NAME|ENV_.*)"
)


class ConfigRefused(Exception):
    """The configuration cannot be used; the message is one line for the user, the exit status 2."""


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One key as somebody wrote it, and where: `server.properties:12`, `--set`, a variable."""

    key: str
    text: str
    origin: str


@dataclasses.dataclass(frozen=True, slots=True)
class Resolved:
    """The configuration, a warning line for each key without meaning, the settings that won."""

    config: BrokerConfig
    warnings: tuple[str, ...]
    settings: Mapping[str, Setting]


def resolve(layers: Sequence[Sequence[Setting]]) -> Resolved:
    """The configuration of `layers`, the later over the earlier; ConfigRefused at a fault."""
    settings: dict[str, Setting] = {}
    ignored: dict[str, str] = {}
    for layer in layers:
        for setting in _without_synonyms(layer):
            reason = why_ignored(setting.key)
            if BrokerConfig.find(setting.key) is not None:
                settings[setting.key] = setting
            elif reason is not None:
                ignored[setting.key] = f"{setting.origin}: {setting.key} is ignored: {reason}"
            elif setting.key in REFUSED and setting.text.strip():
                raise ConfigRefused(f"{setting.origin}: {setting.key}: {REFUSED[setting.key]}")
            elif setting.key not in REFUSED:
                raise ConfigRefused(f"{setting.origin}: {_unknown(setting.key)}")
    config = _parse(settings)
    skipped = [
        f"{settings['listeners'].origin}: listener {name} is not opened: there is no controller"
        for name in config.parsed_listeners().skipped
    ]
    idle = [
        f"{setting.origin}: {key} has no effect yet: {why_not_yet(key)}"
        for key, setting in settings.items()
        if why_not_yet(key) is not None and config.value(key) != BrokerConfig.KEYS[key].default
    ]
    return Resolved(config, (*ignored.values(), *skipped, *idle), settings)


def read_properties(name: str, data: bytes) -> list[Setting]:
    """The settings of a properties file in Java's syntax, in UTF-8 or else Latin-1 as Java has it.

    `name` is the file's name for messages. As in Java, of a key that is there twice the last wins.
    """
    # Only a start with a file pays for the import.
    import javaproperties

    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    settings = []
    line = 1
    try:
        for element in javaproperties.parse(io.StringIO(text)):
            if isinstance(element, javaproperties.KeyValue):
                settings.append(Setting(element.key, element.value, f"{name}:{line}"))
            line += len(element.source.splitlines())
    except javaproperties.InvalidUEscapeError as error:
        raise ConfigRefused(f"{name}:{line}: {error}") from None
    return settings


def read_environment(environment: Mapping[str, str]) -> list[Setting]:
    """The settings of `KAFKA_*` variables, sorted by variable, mapped as the official image does.

    One underscore is a dot, two are an underscore, three a dash: KAFKA_LOG_RETENTION_MS is
    log.retention.ms. Variables for the JVM and for service links are none.
    """
    return [
        Setting(_key_of_variable(variable), text, f"environment variable {variable}")
        for variable, text in sorted(environment.items())
        if variable.startswith("KAFKA_")
        and variable not in NOT_KEYS
        and not _SERVICE_LINK.fullmatch(variable)
    ]


def read_assignment(text: str, *, origin: str = "--set") -> Setting:
    """The setting of a `key=value` on the command line; ConfigRefused without an equals sign."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigRefused(f"{origin} {text}: expected key=value")
    return Setting(key.strip(), value.strip(), origin)


def _key_of_variable(variable: str) -> str:
    dotted = variable.removeprefix("KAFKA_").lower().replace("_", ".")
    return dotted.replace("...", "-").replace("..", "_")


def _without_synonyms(layer: Sequence[Setting]) -> Iterator[Setting]:
    """The settings under their keys' first names; refused when two names of one key disagree."""
    by_key: dict[str, Setting] = {}
    for setting in layer:
        row = BrokerConfig.find(setting.key)
        key = setting.key if row is None else row.name
        other = by_key.get(key)
        if other is not None and other.key != setting.key and other.text != setting.text:
            raise ConfigRefused(
                f"{setting.origin}: {setting.key} is {setting.text}, but {other.key}, which is the"
                f" same key, is {other.text} ({other.origin})"
            )
        by_key[key] = setting
    for key, setting in by_key.items():
        yield dataclasses.replace(setting, key=key)


def _parse(settings: Mapping[str, Setting]) -> BrokerConfig:
    try:
        config = BrokerConfig.parse({key: setting.text for key, setting in settings.items()})
        config.check()
    except ConfigError as error:
        message = str(error) if error.key in str(error) else f"{error.key}: {error}"
        if error.key in settings:
            message = f"{settings[error.key].origin}: {message}"
        raise ConfigRefused(message) from None
    return config


def _unknown(name: str) -> str:
    topic_key = TopicConfig.KEYS.get(name)
    if topic_key is not None and topic_key.synonyms:
        return f"{name} is a topic's key; the broker's is {topic_key.synonyms[0]}"
    nearest = difflib.get_close_matches(name, BrokerConfig.KEYS, n=1, cutoff=0.0)
    return f"unknown key {name}; the nearest valid key is {nearest[0]}"
