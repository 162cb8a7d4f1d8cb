"""From a frame to its answer: header, table, version check, decode, handler, encode.

The hot path: no task, no lock, no copy. What a handler raises becomes Kafka's error code here, and
only here. Where there are `meters`, each answer is measured; without them nothing is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, cast

from kbroker.connection import Connection
from kbroker.handler import AnyHandler, RequestContext
from kbroker.handlers import HANDLERS
from kbroker.handlers.api_versions import unsupported_version_response
from kbroker.output import Part
from kbroker.services import Services
from kbroker.watch import Deferred
from wire.api_key import ApiKey
from wire.compiler import decode
from wire.errors import ErrorCode, KafkaError, WireError
from wire.frame import response_frame
from wire.header import read_request_header
from wire.primitives import MAX_ELEMENTS
from wire.schema import Request, Response

if TYPE_CHECKING:
    from kbroker.observability.meters import RequestMeters

logger = logging.getLogger(__name__)


class Dispatcher:
    """Runs requests against the table of handlers. `abort` ends the process: a broken invariant
    must not go on serving."""

    def __init__(
        self,
        services: Services,
        *,
        handlers: Mapping[ApiKey, AnyHandler] = HANDLERS,
        spawn: Callable[[Coroutine[None, None, None], str], object],
        abort: Callable[[], None],
        meters: RequestMeters | None = None,
        max_elements: int = MAX_ELEMENTS,
    ) -> None:
        self._services = services
        self._spawn = spawn
        self._abort = abort
        self._meters = meters
        self._max_elements = max_elements
        self._handlers: dict[int, AnyHandler] = {int(key): row for key, row in handlers.items()}

    def dispatch(self, frame: memoryview, connection: Connection) -> None:
        """Run the request in `frame`; its answer goes to `connection`, now or later."""
        meters = self._meters
        started = 0.0 if meters is None else meters.now()
        try:
            header = read_request_header(frame)
            api_key, version, correlation_id, client_id, position = header
            row = self._handlers.get(api_key)
            if row is None or version not in row.versions:
                self._refuse(connection, api_key, version, correlation_id)
                return
            request, _ = decode(row.request, version, frame, position, self._max_elements)
        except WireError as error:
            logger.warning("%s:%d sent a malformed request: %s", *connection.peer_address, error)
            connection.hang_up("malformed")
            return
        context = RequestContext(self._services, connection, version, client_id, len(frame))
        try:
            result = row.handle(context, request)
        except Exception as error:  # noqa: BLE001 - the one place where errors become codes
            result = self._error_response(row, request, version, error, connection)
            if result is None:
                return
        if isinstance(result, Response):
            parts = _encode(result, version, correlation_id, connection)
            if meters is not None:
                meters.answered(api_key, started, len(frame), result, parts)
            connection.answer(parts)
        elif result is not None:
            self._answer_later(result, row, request, context, correlation_id, started)
        elif meters is not None:
            meters.answered(api_key, started, len(frame), None, ())

    def _answer_later(
        self,
        result: Deferred[Response] | Coroutine[None, None, Response | None],
        row: AnyHandler,
        request: Request,
        context: RequestContext,
        correlation_id: int,
        started: float,
    ) -> None:
        connection, version = context.connection, context.api_version
        deferred = result if isinstance(result, Deferred) else None
        slot = connection.reserve(
            blocks=True if deferred is None else deferred.blocks, waiting_for=deferred
        )

        def fill(response: Response | None) -> None:
            parts = _encode(response, version, correlation_id, connection)
            if self._meters is not None:
                size = context.frame_bytes
                self._meters.answered(request.API_KEY, started, size, response, parts)
            connection.fill(slot, parts)

        def fail(error: Exception) -> None:
            fill(self._error_response(row, request, version, error, connection))

        if isinstance(result, Deferred):
            result.then(fill, on_error=fail, on_effect=lambda: connection.unblock(slot))
        else:
            self._spawn(_run(result, fill, fail), row.request.__name__)

    def _refuse(
        self, connection: Connection, api_key: int, version: int, correlation_id: int
    ) -> None:
        """Kafka answers an unknown version of ApiVersions only; for all else it hangs up."""
        if api_key == ApiKey.API_VERSIONS:
            response = unsupported_version_response()
            connection.answer(response_frame(response, 0, correlation_id))
            return
        logger.warning(
            "%s:%d sent API key %d version %d, which is not served: closed",
            *connection.peer_address,
            api_key,
            version,
        )
        connection.hang_up("unsupported")

    def _error_response(
        self,
        row: AnyHandler,
        request: Request,
        version: int,
        error: Exception,
        connection: Connection,
    ) -> Response | None:
        """The one place where exceptions become error codes; None: the connection is closed."""
        if isinstance(error, WireError):
            logger.warning("%s:%d sent malformed bytes: %s", *connection.peer_address, error)
            connection.hang_up("malformed")
            return None
        if isinstance(error, AssertionError):
            logger.critical("an invariant does not hold", exc_info=error)
            self._abort()
            return None
        if isinstance(error, KafkaError):
            code = error.code
        elif isinstance(error, OSError):
            self._services.storage_failed(error)
            code = ErrorCode.KAFKA_STORAGE_ERROR
        else:
            logger.error("%s failed", row.request.__name__, exc_info=error)
            code = ErrorCode.UNKNOWN_SERVER_ERROR
        response = cast("Response | None", row.error_response(request, version, code))
        if response is None:
            connection.close()
        return response


async def _run(
    work: Coroutine[None, None, Response | None],
    fill: Callable[[Response | None], None],
    fail: Callable[[Exception], None],
) -> None:
    try:
        response = await work
    except Exception as error:  # noqa: BLE001 - the one place where errors become codes
        fail(error)
    else:
        fill(response)


def _encode(
    response: Response | None, version: int, correlation_id: int, connection: Connection
) -> list[Part]:
    """The frame of an answer, nothing where there is none (acks=0).

    One that cannot be encoded is our bug: the client is hung up on, so that it neither waits for
    ever nor takes the next answer for this one.
    """
    if response is None:
        return []
    try:
        return response_frame(response, version, correlation_id)
    except Exception:
        logger.exception("%s version %d cannot be encoded", type(response).__name__, version)
        connection.close()
        return []
