"""Where two answers differ: by field, not by line."""

from collections.abc import Iterator
from dataclasses import dataclass

from tools.record.normalise import IDENTIFYING
from tools.record.text import Symbol, Tree, inline

ABSENT = Symbol("<absent>")
"""Stands for a field or list element that only the other answer has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs, and where it stands in the answer."""

    path: str
    kafka: Tree
    ours: Tree

    def __str__(self) -> str:
        return f"  {self.path}\n    kafka    {inline(self.kafka)}\n    kbroker  {inline(self.ours)}"


def compare(kafka: Tree, ours: Tree, path: str = "") -> Iterator[Difference]:
    """The differences, each as deep in the answer as it can be told.

    Elements of lists are matched by what identifies them, else by position; lists of different
    lengths without identities differ as a whole.
    """
    if isinstance(kafka, dict) and isinstance(ours, dict):
        yield from _compare_mappings(kafka, ours, path)
    elif isinstance(kafka, list) and isinstance(ours, list) and _are_matched(kafka, ours):
        yield from _compare_mappings(_by_identity(kafka), _by_identity(ours), path)
    elif inline(kafka) != inline(ours):
        yield Difference(path, kafka, ours)


def _compare_mappings(
    kafka: dict[str, Tree], ours: dict[str, Tree], path: str
) -> Iterator[Difference]:
    for key in dict.fromkeys([*kafka, *ours]):
        below = f"{path}.{key}" if path else key
        yield from compare(kafka.get(key, ABSENT), ours.get(key, ABSENT), below)


def _are_matched(kafka: list[Tree], ours: list[Tree]) -> bool:
    if len(kafka) == len(ours):
        return True
    return all(_identity(element) is not None for element in kafka + ours)


def _by_identity(elements: list[Tree]) -> dict[str, Tree]:
    """The elements by identity, or by position where one has none or two share one."""
    named = {_identity(element): element for element in elements}
    if None in named or len(named) < len(elements):
        return {str(at): element for at, element in enumerate(elements)}
    return {str(name): element for name, element in named.items()}


def _identity(element: Tree) -> str | None:
    if isinstance(element, dict):
        for key in IDENTIFYING:
            if element.get(key) not in (None, ""):
                return str(element[key])
    return None
