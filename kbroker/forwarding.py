"""Sends on to the controller what the controller alone does, from whichever broker was asked.

Kafka's brokers do the same (KIP-590), so that clients may ask any of them. The answer goes back
once this broker's own metadata has caught up with it: who creates a topic here finds it here.

A request that was sent on and not answered is sent again, to whoever is the controller by then,
which may be this broker; it may have taken effect, as with Kafka's brokers, and then says so
(TOPIC_ALREADY_EXISTS).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Protocol, TypeVar, cast

from kbroker.broker_client import ConnectionGoneError
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_store import MetadataStoreError
from kbroker.cluster.topic_creation import NewTopic
from kbroker.config_admin import ResourceType
from kbroker.handler import AnyHandler, RequestContext
from kbroker.watch import Deferred
from wire.api_key import ApiKey
from wire.errors import ErrorCode, KafkaError
from wire.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
from wire.messages.alter_partition_reassignments import AlterPartitionReassignmentsResponse
from wire.messages.create_partitions import CreatePartitionsResponse
from wire.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from wire.messages.delete_topics import DeleteTopicsResponse
from wire.messages.elect_leaders import ElectLeadersResponse
from wire.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from wire.messages.list_partition_reassignments import ListPartitionReassignmentsResponse
from wire.messages.unregister_broker import UnregisterBrokerResponse
from wire.schema import Request, Response, Struct

R = TypeVar("R", bound=Response)

FORWARDED: Mapping[ApiKey, type[Response]] = {
    ApiKey.CREATE_TOPICS: CreateTopicsResponse,
    ApiKey.DELETE_TOPICS: DeleteTopicsResponse,
    ApiKey.CREATE_PARTITIONS: CreatePartitionsResponse,
    ApiKey.ALTER_CONFIGS: AlterConfigsResponse,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: IncrementalAlterConfigsResponse,
    ApiKey.ELECT_LEADERS: ElectLeadersResponse,
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: AlterPartitionReassignmentsResponse,
    ApiKey.LIST_PARTITION_REASSIGNMENTS: ListPartitionReassignmentsResponse,
    ApiKey.UNREGISTER_BROKER: UnregisterBrokerResponse,
}
RETRY_S = 0.2
"""After which the controller is asked again, where nothing has changed before."""
CREATE_TOPICS_VERSION = 7


class Clients(Protocol):
    """Connections to other brokers (`broker_clients.BrokerClients`)."""

    async def ask(
        self,
        broker_id: int,
        request: Request,
        version: int,
        response: type[R],
        *,
        timeout_s: float,
    ) -> R:
        """Its answer. ConnectionGoneError: none came, and the outcome is unknown."""
        ...


class Forwarder:
    """Knows who the controller is. `holds_office`: whether it is this broker, as far as it knows;
    `timeout_s`: how long a request may look for it."""

    def __init__(
        self,
        *,
        node_id: int,
        internal_listener: str,
        metadata: MetadataCache,
        clients: Clients,
        holds_office: Callable[[], bool],
        timeout_s: Callable[[], float],
        loop_time: Callable[[], float],
    ) -> None:
        self._node_id = node_id
        self._internal_listener = internal_listener
        self._metadata = metadata
        self._clients = clients
        self._holds_office = holds_office
        self._timeout_s = timeout_s
        self._loop_time = loop_time

    def wrap(self, handlers: Mapping[ApiKey, AnyHandler]) -> dict[ApiKey, AnyHandler]:
        """The table with rows that send on what is not for this broker."""
        wrapped = dict(handlers)
        for api_key in FORWARDED:
            wrapped[api_key] = self._wrap(handlers[api_key])
        return wrapped

    def _wrap(self, row: AnyHandler) -> AnyHandler:
        def handle(
            context: RequestContext, request: Request
        ) -> Response | Deferred[Response] | Coroutine[None, None, Response | None] | None:
            is_sent_on = context.connection.listener.name == self._internal_listener
            if self._holds_office() or _is_about_one_broker(request):
                here = row.handle(context, request)
                if is_sent_on or not inspect.iscoroutine(here) or _is_about_one_broker(request):
                    return cast("Response", here)
                return self._answer_from_wherever(row, context, request, here)
            if is_sent_on:
                # Whoever sent it knows by now, or soon, who it is.
                raise KafkaError(ErrorCode.NOT_CONTROLLER, "this broker is not the controller")
            return self._answer_from_wherever(row, context, request)

        return dataclasses.replace(row, handle=handle)

    async def _answer_from_wherever(
        self,
        row: AnyHandler,
        context: RequestContext,
        request: Request,
        here: Coroutine[None, None, Response] | None = None,
    ) -> Response:
        """The controller's answer, whoever that is in the end. `here`: this broker's, as that."""
        while True:
            if here is not None:
                try:
                    answered = await here
                except KafkaError as error:
                    if error.code != ErrorCode.NOT_CONTROLLER:
                        raise
                else:
                    if not mentions(answered, ErrorCode.NOT_CONTROLLER):
                        return answered
            # It was not the controller, or has found out that it is not any more.
            answer = await self._answer(request, context.api_version)
            if answer is not None:
                return answer
            begun = row.handle(context, request)
            if not inspect.iscoroutine(begun):
                return cast("Response", begun)
            here = begun

    async def create_topic(self, topic: NewTopic) -> bool:
        """Have the controller create it; it shows here on return. False: this broker is it by now.
        KafkaError."""
        request = CreateTopicsRequest(
            topics=[
                CreatableTopic(
                    name=topic.name,
                    num_partitions=topic.partition_count,
                    replication_factor=topic.replication_factor,
                    assignments=[],
                    configs=[
                        CreatableTopicConfig(name=name, value=value)
                        for name, value in topic.configs.items()
                    ],
                )
            ],
            timeout_ms=round(self._timeout_s() * 1000),
            validate_only=False,
        )
        response = await self._answer(request, CREATE_TOPICS_VERSION)
        if response is None:
            return False
        assert isinstance(response, CreateTopicsResponse)
        for result in response.topics:
            if result.error_code:
                raise KafkaError(ErrorCode(result.error_code), result.error_message or "")
        return True

    async def _answer(self, request: Request, version: int) -> Response | None:
        """The controller's answer, once it shows here; None: this broker is the controller by now.
        KafkaError(NOT_CONTROLLER): nobody is it."""
        deadline = self._loop_time() + self._timeout_s()
        while (left_s := deadline - self._loop_time()) > 0:
            if self._holds_office():
                return None
            controller_id = self._metadata.image.controller_id
            if controller_id is None or controller_id == self._node_id:
                # This one may be it already, and no news will tell when it begins to act as that.
                await self._news(min(left_s, RETRY_S))
                continue
            with contextlib.suppress(ConnectionGoneError):
                response = await self._clients.ask(
                    controller_id, request, version, FORWARDED[request.API_KEY], timeout_s=left_s
                )
                if not mentions(response, ErrorCode.NOT_CONTROLLER):
                    with contextlib.suppress(MetadataStoreError):  # then it shows a little later
                        await self._metadata.catch_up()
                    return response
            await self._news(min(left_s, RETRY_S))
        raise KafkaError(ErrorCode.NOT_CONTROLLER, "there is no controller now")

    async def _news(self, seconds: float) -> None:
        """Wait until the metadata have changed, no longer than so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._metadata.wait_until(self._metadata.image.revision + 1)


def _is_about_one_broker(request: Request) -> bool:
    """Settings of one broker are that broker's to check, and to store."""
    if not isinstance(request, AlterConfigsRequest | IncrementalAlterConfigsRequest):
        return False
    return any(
        each.resource_type == ResourceType.BROKER_LOGGER
        or (each.resource_type == ResourceType.BROKER and each.resource_name)
        for each in request.resources
    )


def mentions(message: Struct, code: ErrorCode) -> bool:
    """Whether an error code stands anywhere in an answer."""
    for field in message.FIELDS:
        value = getattr(message, field.name)
        if field.name == "error_code" and value == code:
            return True
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Struct) and mentions(each, code):
                return True
    return False
