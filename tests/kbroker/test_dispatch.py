"""From frame to answer: what goes wrong in a handler, and what the client and the broker do."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Coroutine

import pytest

from kbroker.connection import ConnectionLimits
from kbroker.dispatch import Dispatcher
from kbroker.handler import Handler, RequestContext
from kbroker.observability.meters import RequestMeters
from kbroker.watch import Deferred
from tests.kbroker.connection_harness import Client, Owner, TurnLoop
from wire.api_key import ApiKey
from wire.errors import ErrorCode, KafkaError, WireError
from wire.frame import read_response, request_frame
from wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from wire.messages.metadata import MetadataRequest, MetadataRequestTopic

VERSION = 4


def answer(producer_id: int, code: int = 0) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=code, producer_id=producer_id, producer_epoch=0)


def failed(request: InitProducerIdRequest, version: int, code: ErrorCode) -> InitProducerIdResponse:
    return answer(-1, code)


class Storage:
    """The part of the services that dispatch itself uses. Mutable."""

    def __init__(self) -> None:
        self.errors: list[OSError] = []

    def storage_failed(self, error: OSError) -> None:
        self.errors.append(error)


class Stage:
    """A dispatcher with one API, a client of it, and the tasks it started. Mutable."""

    def __init__(self, loop: TurnLoop, handle: Callable, **options: object) -> None:
        self.storage = Storage()
        self.abort_count = 0
        self.tasks: list[Coroutine] = []
        self.dispatcher = dispatcher = Dispatcher(
            self.storage,  # type: ignore[arg-type]
            spawn=lambda work, name: self.tasks.append(work),
            abort=self.abort,
            **options,  # type: ignore[arg-type]
        )
        row = Handler(
            request=InitProducerIdRequest,
            versions=range(0, 6),
            handle=handle,
            error_response=failed,
        )
        dispatcher._handlers = {int(ApiKey.INIT_PRODUCER_ID): row}
        self.client = Client(loop, Owner(dispatcher.dispatch, limits=ConnectionLimits()))
        self.count = 0

    def abort(self) -> None:
        self.abort_count += 1

    def ask(self, count: int = 1) -> None:
        for _ in range(count):
            self.count += 1
            request = InitProducerIdRequest(
                transactional_id=None, transaction_timeout_ms=1, producer_id=self.count
            )
            parts = request_frame(request, VERSION, self.count, "test")
            self.client.send_bytes(b"".join(bytes(part) for part in parts))  # type: ignore[arg-type]
        self.client.settle()

    def run_task(self) -> None:
        """Run the oldest task to its end; it must not wait for anything real."""
        with pytest.raises(StopIteration):
            self.tasks.pop(0).send(None)
        self.client.settle()

    @property
    def answers(self) -> list[tuple[int, int, int]]:
        """(correlation id, producer id, error code) of each answer so far."""
        found = []
        for frame in self.client.answers:
            correlation_id, response = read_response(InitProducerIdResponse, VERSION, frame)
            found.append((correlation_id, response.producer_id, response.error_code))
        return found


@pytest.fixture
def loop():
    made = TurnLoop()
    yield made
    made.close()


def raising(error: Exception) -> Callable:
    def handle(context: RequestContext, request: InitProducerIdRequest) -> InitProducerIdResponse:
        raise error

    return handle


def raising_later(error: Exception) -> Callable:
    async def work() -> InitProducerIdResponse:
        raise error

    return lambda context, request: work()


def ask_and_finish(stage: Stage) -> None:
    stage.ask()
    while stage.tasks:
        stage.run_task()


BOTH_WAYS = pytest.mark.parametrize("way", [raising, raising_later])


@BOTH_WAYS
def test_a_kafka_error_is_the_responses_code(loop, way) -> None:
    stage = Stage(loop, way(KafkaError(ErrorCode.INVALID_REQUEST)))
    ask_and_finish(stage)
    assert stage.answers == [(1, -1, ErrorCode.INVALID_REQUEST)]
    assert not stage.client.transport.lost


@BOTH_WAYS
def test_a_disk_error_is_a_storage_error_and_the_broker_is_told(loop, way) -> None:
    error = OSError(errno.EIO, "no such sector")
    stage = Stage(loop, way(error))
    ask_and_finish(stage)
    assert stage.answers == [(1, -1, ErrorCode.KAFKA_STORAGE_ERROR)]
    assert stage.storage.errors == [error]


@BOTH_WAYS
def test_a_surprise_is_an_unknown_server_error_and_the_connection_goes_on(loop, way) -> None:
    stage = Stage(loop, way(ZeroDivisionError("surprise")))
    ask_and_finish(stage)
    ask_and_finish(stage)
    code = ErrorCode.UNKNOWN_SERVER_ERROR
    assert stage.answers == [(1, -1, code), (2, -1, code)]
    assert stage.abort_count == 0


@BOTH_WAYS
def test_a_broken_invariant_aborts_the_process(loop, way) -> None:
    stage = Stage(loop, way(AssertionError("two leaders")))
    ask_and_finish(stage)
    assert stage.abort_count == 1
    assert stage.answers == []


@BOTH_WAYS
def test_malformed_bytes_found_late_close_the_connection(loop, way) -> None:
    stage = Stage(loop, way(WireError("half a batch")))
    ask_and_finish(stage)
    assert stage.answers == []
    assert stage.client.transport.lost


def test_an_answer_at_once_starts_no_task(loop) -> None:
    stage = Stage(loop, lambda context, request: answer(request.producer_id))
    stage.ask(3)
    assert stage.answers == [(1, 1, 0), (2, 2, 0), (3, 3, 0)]
    assert stage.tasks == []


def test_no_answer_takes_no_place(loop) -> None:
    stage = Stage(
        loop,
        lambda context, request: None if request.producer_id == 1 else answer(request.producer_id),
    )
    stage.ask(2)
    assert stage.answers == [(2, 2, 0)]


def test_deferred_answers_come_in_order_and_need_no_task(loop) -> None:
    waiting: list[Deferred] = []

    def handle(context: RequestContext, request: InitProducerIdRequest) -> Deferred:
        waiting.append(Deferred(blocks=False))
        return waiting[-1]

    stage = Stage(loop, handle)
    stage.ask(3)
    assert len(waiting) == 3
    for number in (2, 0, 1):
        waiting[number].settle(answer(number))
        stage.client.settle()
    assert stage.answers == [(1, 0, 0), (2, 1, 0), (3, 2, 0)]
    assert stage.tasks == []


def test_a_deferred_answer_that_is_there_already_is_sent(loop) -> None:
    def handle(context: RequestContext, request: InitProducerIdRequest) -> Deferred:
        deferred: Deferred = Deferred(blocks=False)
        deferred.settle(answer(7))
        return deferred

    stage = Stage(loop, handle)
    stage.ask(2)
    assert stage.answers == [(1, 7, 0), (2, 7, 0)]


def test_a_task_holds_back_the_requests_behind_it(loop) -> None:
    started: list[int] = []

    async def work(number: int) -> InitProducerIdResponse:
        return answer(number)

    def handle(context: RequestContext, request: InitProducerIdRequest):
        started.append(request.producer_id)
        return work(request.producer_id)

    stage = Stage(loop, handle)
    stage.ask(2)
    assert started == [1]
    stage.run_task()
    assert started == [1, 2]
    stage.run_task()
    assert stage.answers == [(1, 1, 0), (2, 2, 0)]


def test_the_handler_knows_the_version_and_the_client(loop) -> None:
    seen: list[tuple[int, str | None]] = []

    def handle(context: RequestContext, request: InitProducerIdRequest) -> InitProducerIdResponse:
        seen.append((context.api_version, context.client_id))
        return answer(1)

    Stage(loop, handle).ask()
    assert seen == [(VERSION, "test")]


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">hhih", ApiKey.INIT_PRODUCER_ID, 6, 1, -1),
        struct.pack(">hhih", ApiKey.INIT_PRODUCER_ID, -1, 1, -1),
        struct.pack(">hhih", ApiKey.FETCH, 12, 1, -1),
        struct.pack(">hhih", -1, 0, 1, -1),
        struct.pack(">hhih", ApiKey.INIT_PRODUCER_ID, 0, 1, 50) + b"short",
        struct.pack(">hhih", ApiKey.INIT_PRODUCER_ID, 0, 1, -1) + b"\xff",
        b"",
    ],
)
def test_what_is_not_served_or_malformed_closes_the_connection(loop, frame: bytes) -> None:
    stage = Stage(loop, lambda context, request: answer(1))
    stage.client.send(frame)
    stage.client.settle()
    assert stage.answers == []
    assert stage.client.transport.lost


def test_each_answer_is_measured_where_there_are_meters(loop) -> None:
    now = [10.0]
    meters = RequestMeters(lambda: now[0])
    waiting: Deferred[InitProducerIdResponse] = Deferred(blocks=False)
    results = iter([answer(1), answer(-1, ErrorCode.UNKNOWN_SERVER_ERROR), waiting, None])

    def handle(context: RequestContext, request: InitProducerIdRequest) -> object:
        now[0] += 0.002
        return next(results)

    stage = Stage(loop, handle, meters=meters)
    stage.ask(4)
    meter = meters.by_api[ApiKey.INIT_PRODUCER_ID]
    assert meter.requests == 3, "the third is to come, the fourth has none"
    now[0] += 1
    waiting.settle(answer(2))
    assert meter.requests == 4
    assert meter.errors == {ErrorCode.UNKNOWN_SERVER_ERROR: 1}
    assert [count for count in meter.latency.counts if count] == [3, 1]
    assert meter.response_bytes > 0


def test_a_request_of_too_many_entries_closes_the_connection(loop) -> None:
    stage = Stage(loop, lambda context, request: answer(1), max_elements=2)
    request = MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in "abc"])
    frame = b"".join(bytes(part) for part in request_frame(request, 4, 1, "x"))[4:]
    row = Handler(
        request=MetadataRequest,
        versions=range(4, 5),
        handle=lambda context, request: None,
        error_response=lambda request, version, code: None,
    )
    stage.dispatcher._handlers = {int(ApiKey.METADATA): row}
    stage.client.send(frame)
    assert stage.client.transport.closing
    assert stage.client.connection._owner.hang_ups == ["malformed"]  # type: ignore[attr-defined]
