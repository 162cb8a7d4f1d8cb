"""The table of clients: each one's driver, environment, and what it cannot do, with the reason that
the documentation prints."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parent / ".venvs"


class Feature(Enum):
    """What a scenario may need of a client."""

    SENT_OFFSETS = "tells the offsets of what it sent"
    ACKS_0 = "sends what nobody acknowledges"
    TIMESTAMPS = "sets timestamps"
    EMPTY_VALUES = "tells an empty value from a null one"
    NULL_HEADERS = "sends a header without a value"
    TOPIC_ADMIN = "creates and deletes topics"
    COMMITS = "commits offsets with assign"
    QUIET_METADATA = "asks for a topic without creating it"
    STATIC_MEMBERS = "gives a member of a group an id that outlives it"
    FENCING = "tells that another has taken its place"
    COOPERATIVE = "has a cooperative assignor"
    MEMBER_CALLS = "lets a member of a group seek, commit and tell its position"
    GROUP_ADMIN = "lists and describes groups"
    DELETE_GROUPS = "deletes groups"
    ALTER_GROUP_OFFSETS = "changes a group's offsets without being a member"
    DELETE_GROUP_OFFSETS = "deletes a group's offsets"
    REMOVE_MEMBERS = "makes static members leave"
    COMMAND_LINE = "is a command that a user types"
    ADMIN = "changes topics that are there"
    ADMIN_OFFSETS = "asks for offsets as an administrator"
    ELECTIONS = "asks for elections"
    ACLS = "asks for access control lists"
    LOG_DIRS = "asks how large partitions are"
    NEWEST_ADMIN = "has the newest admin calls"


def this_environment() -> str:
    """The interpreter that runs the tests."""
    return sys.executable


def kafka_python_2_environment() -> str:
    """The interpreter of .venvs/kafka-python-2, made when it is missing or its requirements
    changed."""
    requirements = HERE / "requirements-kafka-python-2.txt"
    home = ENVIRONMENTS / "kafka-python-2"
    python, stamp = home / "bin" / "python", home / ".requirements"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / "kafka-python-2.lock").open("w") as lock:  # the workers start together
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            venv.create(home, with_pip=True, clear=True)
            install = [python, "-m", "pip", "install", "-q", "-r", requirements]
            subprocess.run([str(part) for part in install], check=True)
            stamp.write_text(wanted)
    return str(python)


@dataclass(frozen=True)
class ClientSpec:
    """One client: `missing` names what it cannot do, and why."""

    name: str
    driver: str
    python: Callable[[], str] = this_environment
    missing: Mapping[Feature, str] = field(default_factory=dict)


LIBRARY = {Feature.COMMAND_LINE: "A library, not a command"}

NOT_COOPERATIVE = "It has no cooperative assignor"
NOT_ALTERED = "Its administration changes no offsets"
NOT_REMOVED = "Its administration deletes no offsets and removes no members"
KCAT_GROUPS = "kcat administers no groups"

KAFKA_PYTHON = LIBRARY | {
    Feature.NULL_HEADERS: "kafka-python refuses a header whose value is not bytes"
}

NO_ADMIN = "kcat has no admin calls"

CLIENTS = (
    ClientSpec(
        "kafka-python 3",
        "kafka_python.py",
        missing=KAFKA_PYTHON | {Feature.FENCING: "kafka-python 3.0 tells it now and then only"},
    ),
    ClientSpec(
        "kafka-python 2",
        "kafka_python.py",
        python=kafka_python_2_environment,
        missing=KAFKA_PYTHON
        | {
            Feature.ACKS_0: "kafka-python 2.2 keeps a request with acks=0 until another follows",
            Feature.ADMIN_OFFSETS: "kafka-python 2.2 has no such call",
            Feature.LOG_DIRS: "kafka-python 2.2 asks in version 0, which Kafka 4 has no more",
            Feature.NEWEST_ADMIN: "kafka-python 2.2 has no such call",
            Feature.STATIC_MEMBERS: "kafka-python 2.2 has no static members",
            Feature.COOPERATIVE: NOT_COOPERATIVE,
            Feature.ALTER_GROUP_OFFSETS: NOT_ALTERED,
            Feature.DELETE_GROUP_OFFSETS: NOT_REMOVED,
            Feature.REMOVE_MEMBERS: NOT_REMOVED,
        },
    ),
    ClientSpec(
        "confluent-kafka",
        "confluent.py",
        missing=LIBRARY
        | {
            Feature.ACLS: "confluent-kafka keeps the error to itself",
            Feature.LOG_DIRS: "librdkafka has no such call",
            Feature.NEWEST_ADMIN: "librdkafka has no such call",
            Feature.DELETE_GROUP_OFFSETS: NOT_REMOVED,
            Feature.REMOVE_MEMBERS: NOT_REMOVED,
        },
    ),
    ClientSpec(
        "aiokafka",
        "aio.py",
        missing=LIBRARY
        | {
            Feature.QUIET_METADATA: "aiokafka always asks with auto-creation allowed",
            Feature.ADMIN_OFFSETS: "aiokafka has no such call",
            Feature.ELECTIONS: "aiokafka has no such call",
            Feature.ACLS: "aiokafka has no such call",
            Feature.LOG_DIRS: "aiokafka has no such call",
            Feature.NEWEST_ADMIN: "aiokafka has no such call",
            Feature.FENCING: "aiokafka does not know the error",
            Feature.COOPERATIVE: NOT_COOPERATIVE,
            Feature.DELETE_GROUPS: "Its administration deletes no groups",
            Feature.ALTER_GROUP_OFFSETS: NOT_ALTERED,
            Feature.DELETE_GROUP_OFFSETS: NOT_REMOVED,
            Feature.REMOVE_MEMBERS: NOT_REMOVED,
        },
    ),
    ClientSpec(
        "kcat",
        "kcat.py",
        missing={
            Feature.SENT_OFFSETS: "kcat does not tell the offsets of what it sent",
            Feature.TIMESTAMPS: "kcat cannot set a timestamp",
            Feature.EMPTY_VALUES: "kcat sends an empty value as null (-Z), or a null as empty",
            Feature.TOPIC_ADMIN: "kcat cannot create or delete topics",
            Feature.ADMIN: NO_ADMIN,
            Feature.ADMIN_OFFSETS: NO_ADMIN,
            Feature.ELECTIONS: NO_ADMIN,
            Feature.ACLS: NO_ADMIN,
            Feature.LOG_DIRS: NO_ADMIN,
            Feature.NEWEST_ADMIN: NO_ADMIN,
            Feature.COMMITS: "kcat commits only as a member of a group (-G)",
            Feature.QUIET_METADATA: "kcat -L -t creates the topic, like a producer",
            Feature.MEMBER_CALLS: "`kcat -G` takes no orders, and always commits",
            Feature.GROUP_ADMIN: KCAT_GROUPS,
            Feature.DELETE_GROUPS: KCAT_GROUPS,
            Feature.ALTER_GROUP_OFFSETS: KCAT_GROUPS,
            Feature.DELETE_GROUP_OFFSETS: KCAT_GROUPS,
            Feature.REMOVE_MEMBERS: KCAT_GROUPS,
        },
    ),
)
"""The order is the table's. The first is also the reference client, which does for a scenario what
its own client cannot."""


def by_name(name: str) -> ClientSpec:
    return next(spec for spec in CLIENTS if spec.name == name)
