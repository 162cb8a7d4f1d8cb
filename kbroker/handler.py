"""What a handler is: one API's versions and the function that serves it.

A handler that need not wait returns its response; one that waits for something that others make
true returns a `Deferred`; only one that itself has several steps to await returns a coroutine.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kbroker.watch import Deferred
from wire.errors import ErrorCode
from wire.schema import Request, Response

if TYPE_CHECKING:
    from kbroker.connection import Connection
    from kbroker.services import Services

Q = TypeVar("Q", bound=Request)
R = TypeVar("R", bound=Response)


class RequestContext:
    """What a handler may know besides the request itself. One is made for each request."""

    __slots__ = ("api_version", "client_id", "connection", "frame_bytes", "services")

    def __init__(
        self,
        services: Services,
        connection: Connection,
        api_version: int,
        client_id: str | None,
        frame_bytes: int,
    ) -> None:
        self.services = services
        self.connection = connection
        self.api_version = api_version
        self.client_id = client_id
        self.frame_bytes = frame_bytes


@dataclass(frozen=True, slots=True)
class Handler(Generic[Q, R]):
    """One row of the table of APIs.

    `versions` are served; `advertised` is what ApiVersions says, which differs where old clients
    look for one exact version (KAFKA-18659). `error_response` answers a request as a whole; None:
    hang up. `handle` returns None only where the protocol has no answer (Produce with acks=0).
    """

    request: type[Q]
    versions: range
    handle: Callable[[RequestContext, Q], R | Deferred[R] | Coroutine[None, None, R | None] | None]
    error_response: Callable[[Q, int, ErrorCode], R | None]
    advertised_minimum: int | None = None

    @property
    def advertised(self) -> range:
        if self.advertised_minimum is None:
            return self.versions
        return range(self.advertised_minimum, self.versions.stop)


# A table holds handlers of all kinds; the row itself ties request and response together.
AnyHandler = Handler[Any, Any]
