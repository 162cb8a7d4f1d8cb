"""A client that does everything right: what it is answered between blocks of garbage tells whether
the broker still is one. It also takes back what the garbage has set, made and left."""

from __future__ import annotations

from tests.process.raw_client import COMMIT_VERSION, RawClient, batch, commit_request
from wire.errors import ErrorCode
from wire.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResponse,
)
from wire.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse
from wire.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from wire.messages.offset_commit import OffsetCommitResponse

BROKER = 4
INTERNAL = "__consumer_offsets"
TOPICS = ("orders", "clicks")
TRIES = 50


class Astray(Exception):
    """What a well-behaved client should have been answered, and was not."""


class GoodClient:
    """One connection, kept from the start. Mutable: its topics are numbered."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._client = RawClient(address)
        self._number = 0

    def close(self) -> None:
        self._client.close()

    def reset(self) -> None:
        """What was set on the broker while it runs goes."""
        for name in ("", "1"):
            resource = AlterConfigsResource(resource_type=BROKER, resource_name=name, configs=[])
            request = AlterConfigsRequest(resources=[resource], validate_only=False)
            self._client.ask(request, 2, AlterConfigsResponse)

    def tidy(self) -> None:
        """Settings, topics, and groups without members go."""
        self.reset()
        client = self._client
        for topic in client.metadata().topics:
            if topic.name != INTERNAL:
                client.delete_topic(topic.name)
        listed = client.ask(ListGroupsRequest(states_filter=["Empty"]), 4, ListGroupsResponse)
        names = [group.group_id for group in listed.groups]
        if names:
            client.ask(DeleteGroupsRequest(groups_names=names), 2, DeleteGroupsResponse)

    def prepare(self) -> list[bytes]:
        """The topics that the garbage speaks of are there again; their ids."""
        for name in TOPICS:
            self._client.try_create_topic(name, partitions=2)
        return [topic.topic_id for topic in self._client.metadata(*TOPICS).topics]

    def check(self) -> None:
        """A topic, a batch, its bytes back, a commit. Astray; Disconnected, OSError."""
        self._number += 1
        name = f"good-{self._number}"
        client = self._client
        client.create_topic(name)
        value = f"value {self._number}".encode()
        produced = client.produce(name, 0, batch(value))
        if produced.error_code or produced.base_offset != 0:
            raise Astray(f"produced with {ErrorCode(produced.error_code).name}")
        if client.read_all(name, 0) != [(0, value)]:
            raise Astray("what was fetched is not what was produced")
        for _ in range(TRIES):
            client.find_coordinator("good")
            request = commit_request("good", name, 0, 1)
            answer = client.ask(request, COMMIT_VERSION, OffsetCommitResponse)
            code = answer.topics[0].partitions[0].error_code
            if code not in (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_COORDINATOR):
                break
        if code:
            raise Astray(f"committed with {ErrorCode(code).name}")
        if client.delete_topic(name):
            raise Astray("its topic cannot be deleted")
