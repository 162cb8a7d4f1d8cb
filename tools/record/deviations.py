"""Where kbroker answers otherwise than Apache Kafka, on purpose; `docs/apis.md` shows this table.

A row says which steps of which scenarios it is about, where in the answer the difference stands
(field names, and names or positions of list elements, joined by dots; empty for the whole answer),
what each broker answers, and why. In all but the reason `*` stands for any text. Whatever differs
and stands in no row fails the replay, and so does a row that no step needs any more.
"""

import re
from dataclasses import dataclass

from tools.record.compare import ABSENT, Difference
from tools.record.text import inline


@dataclass(frozen=True, slots=True)
class Deviation:
    """One row; `kafka` and `ours` are written as in golden files."""

    scenario: str
    step: str
    path: str
    kafka: str
    ours: str
    why: str

    def excuses(self, scenario: str, step: str, difference: Difference) -> bool:
        """Whether this row is about that difference."""
        return all(
            _matches(pattern, text)
            for pattern, text in (
                (self.scenario, scenario),
                (self.step, step),
                (self.path, difference.path),
                (self.kafka, inline(difference.kafka)),
                (self.ours, inline(difference.ours)),
            )
        )


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text, re.DOTALL) is not None


DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        scenario="connections/api_versions",
        step="*",
        path="api_keys.*",
        kafka="*",
        ours=ABSENT,
        why="Only what is served is advertised: clients use an API as soon as they see its key.",
    ),
    Deviation(
        scenario="connections/api_versions",
        step="*",
        path="*features*",
        kafka="*",
        ours="*",
        why="Transactions of the second version, KIP-848 groups and share groups are not here yet.",
    ),
    Deviation(
        scenario="create_topics/*",
        step="*",
        path="*configs.flush.messages.value",
        kafka='"9223372036854775807"',
        ours='"1"',
        why="Durable by default: what was acknowledged is on the disk.",
    ),
    Deviation(
        scenario="create_topics/*",
        step="*",
        path="*configs.min.insync.replicas.config_source",
        kafka="3",
        ours="5",
        why="Kafka 4.1 and later writes the default into the cluster's configuration (KIP-966).",
    ),
    Deviation(
        scenario="metadata/auto_create",
        step="*",
        path="topics.*",
        kafka="*",
        ours="*",
        why="A topic is usable at once: Kafka first answers that it is not there.",
    ),
    Deviation(
        scenario="connections/bad_bodies",
        step="a string that is not UTF-8",
        path="",
        kafka="*",
        ours="closed",
        why="Text that is not UTF-8 is malformed; Kafka replaces it with U+FFFD.",
    ),
)
