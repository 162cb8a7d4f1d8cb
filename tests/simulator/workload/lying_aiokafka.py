"""Short runs with aiokafka in them: answers are changed before the library sees them."""

from collections.abc import Callable
from typing import Any

from simulator.run import Report
from tests.simulator.workload.lying import honest_run

RUN: dict[str, object] = {"aiokafka": True, "partitions": 1}


def aiokafka_run(**options: object) -> Report:
    return honest_run(**{**RUN, **options})


def lying_aiokafka_run(
    monkeypatch, kind: str, lie: Callable[[Any], None], *, skip: int = 0, **options: object
) -> str:
    """Why the run failed ("" if it did not) when the answers to requests of a kind are changed by
    `lie`, but for the first `skip` of them."""
    from aiokafka.conn import AIOKafkaConnection

    send = AIOKafkaConnection.send
    count = 0

    def send_and_change(self, request, expect_response=True):
        waiting = send(self, request, expect_response)

        async def changed():
            nonlocal count
            answer = await waiting
            count += 1
            if count > skip:
                lie(answer)
            return answer

        return changed() if type(request).__name__ == kind else waiting

    monkeypatch.setattr(AIOKafkaConnection, "send", send_and_change)
    return aiokafka_run(**options).failure or ""
