"""Where kbroker answers otherwise than Apache Kafka, on purpose; `docs/apis.md` shows this table.

A row says which steps of which scenarios it is about, where in the answer the difference stands
(field names and list positions joined by dots, `*` for any; empty for the whole answer), what each
broker answers, and why. Whatever differs and stands in no row fails the replay, and so does a row
that no step needs any more.
"""

from dataclasses import dataclass

from tools.record.text import Symbol, Tree

ANYTHING = Symbol("<anything>")
"""In place of Kafka's whole answer, which the golden file shows."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One row. `scenario`, `step` and `path` may hold `*`."""

    scenario: str
    step: str
    path: str
    kafka: Tree
    ours: Tree
    why: str


DEVIATIONS: tuple[Deviation, ...] = ()
