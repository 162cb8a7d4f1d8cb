"""The `scenario` mark: a scenario's title in the table, and the features without which a client
cannot play it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from interop_tests.clients import CLIENTS, ClientSpec, Feature


def scenario(title: str, *needs: Feature) -> pytest.MarkDecorator:
    """`title` may name parameters of the test in braces: each set of them is a row of its own."""
    return pytest.mark.scenario(title, needs)


@dataclass(frozen=True)
class Row:
    """One scenario of the table."""

    order: tuple[str, int, str]
    section: str
    title: str
    missing: Mapping[str, str]
    """Why a client cannot play it, by the client's name."""


def reason_missing(spec: ClientSpec, needs: tuple[Feature, ...]) -> str | None:
    return next((spec.missing[need] for need in needs if need in spec.missing), None)


def able_clients(needs: tuple[Feature, ...]) -> list[ClientSpec]:
    return [spec for spec in CLIENTS if reason_missing(spec, needs) is None]


def row_of(item: pytest.Item) -> Row | None:
    """The row that a collected test fills; None for one that is no scenario."""
    mark = item.get_closest_marker("scenario")
    if mark is None:
        return None
    title, needs = mark.args
    parameters = (
        {name: value for name, value in item.callspec.params.items() if name != "client"}
        if hasattr(item, "callspec")
        else {}
    )
    title = title.format(**parameters)
    path, line, _ = item.location
    section = (item.module.__doc__ or "").strip().splitlines()[0].rstrip(".")
    missing = {}
    for spec in CLIENTS:
        reason = reason_missing(spec, needs)
        if reason is not None:
            missing[spec.name] = reason
    return Row((path, line or 0, title), section, title, missing)


def beyond_slice(items: list[pytest.Item]) -> list[pytest.Item]:
    """What is left out of a slice: it has each row with one client, and rows of clusters with two.
    The next row has the next ones, so that each client plays its share."""
    by_row: dict[tuple[str, int, str], list[pytest.Item]] = {}
    for item in items:
        row = row_of(item)
        if row is not None:
            by_row.setdefault(row.order, []).append(item)
    others = []
    for number, played in enumerate(by_row.values()):
        count = 2 if played[0].get_closest_marker("cluster") else 1
        kept = {(number * count + each) % len(played) for each in range(count)}
        others += [item for at, item in enumerate(played) if at not in kept]
    return others
