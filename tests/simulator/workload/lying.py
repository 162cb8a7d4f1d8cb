"""Short runs without faults: a broker's answers are changed before its clients see them."""

import dataclasses
from collections.abc import Callable

from simulator import client as client_module
from simulator.plan import Plan
from simulator.run import Report, run
from wire.schema import Response

NOBODY = {
    "safety_s": 30.0,
    "partitions": 2,
    "flush_messages": 1,
    "producers": 0,
    "idempotent_producers": 0,
    "readers": 0,
    "more_topics": 0,
    "bursts": 12,
    "groups": 0,
    "members": 2,
    "committers": 0,
    "admins": 0,
    "aiokafka": False,
}

Lie = Callable[[Response], None]


def honest_run(seed: int = 1, without: tuple[str, ...] = (), **options: object) -> Report:
    plan = Plan.draw(seed, without=frozenset(without))
    changed = dataclasses.replace(plan.options, **{**NOBODY, **options})
    return run(dataclasses.replace(plan, options=changed, faults=()))


def lying_run(
    monkeypatch, kind: type[Response], lie: Lie, *, seed: int = 1, skip: int = 0, **options: object
) -> str:
    """Why the run failed ("" if it did not) when answers of a kind are changed by `lie`, but for
    the first `skip` of them."""
    read = client_module.read_response
    count = 0

    def read_and_change(cls, version, frame):
        nonlocal count
        correlation_id, response = read(cls, version, frame)
        if isinstance(response, kind):
            count += 1
            if count > skip:
                lie(response)
        return correlation_id, response

    monkeypatch.setattr(client_module, "read_response", read_and_change)
    return honest_run(seed, **options).failure or ""
