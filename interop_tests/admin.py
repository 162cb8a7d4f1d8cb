"""Admin calls through a driver; the counterparts are drivers/*_admin.py, one for each library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interop_tests.client import Client


class Admin:
    """The admin calls of a client; ClientError where one is refused. What a client lacks stands in
    the table of clients."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _call(self, operation: str, **arguments: Any) -> Any:
        bootstrap = self._client.bootstrap
        return self._client.start(f"admin.{operation}", bootstrap=bootstrap, **arguments).wait()

    def create_partitions(self, topic: str, count: int) -> None:
        """To so many in all."""
        self._call("create_partitions", topic=topic, count=count)

    def delete_records(self, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
        """Deletes below the offset of each partition; where each begins afterwards."""
        return _by_partition(self._call("delete_records", topic=topic, offsets=offsets))

    def describe_cluster(self) -> dict[str, Any]:
        """{"controller": id, "nodes": [id], "cluster_id": text}."""
        found: dict[str, Any] = self._call("describe_cluster")
        return found

    def describe_configs(self, topic: str) -> dict[str, str | None]:
        """All settings of a topic, defaults included."""
        found: dict[str, str | None] = self._call("describe_configs", topic=topic)
        return found

    def alter_config(self, topic: str, key: str, value: str) -> None:
        """Sets one, and may reset the others: older clients replace them all."""
        self._call("alter_config", topic=topic, key=key, value=value)

    def elect_leaders(self, topic: str, partitions: Sequence[int]) -> dict[int, str]:
        """The name of each partition's error; the preferred leader is asked for."""
        return _by_partition(self._call("elect_leaders", topic=topic, partitions=partitions))

    def list_offset(self, topic: str, partition: int, timestamp: int) -> int:
        """-1: the end, -2: the start, -3: of the largest timestamp; else the first at or after."""
        arguments = {"topic": topic, "partition": partition, "timestamp": timestamp}
        return int(self._call("list_offset", **arguments))

    def describe_acls(self) -> int:
        """How many access control lists there are."""
        return int(self._call("describe_acls"))

    def describe_log_dirs(self, topic: str) -> dict[int, int]:
        """The size of each partition."""
        return _by_partition(self._call("describe_log_dirs", topic=topic))

    def describe_quorum(self) -> dict[str, Any]:
        """{"leader": id, "voters": [id]}."""
        found: dict[str, Any] = self._call("describe_quorum")
        return found

    def describe_pages(self, topic: str, limit: int) -> list[list[int]]:
        """The partitions of a topic, page by page."""
        pages: list[list[int]] = self._call("describe_pages", topic=topic, limit=limit)
        return pages

    def describe_producers(self, topic: str, partition: int) -> int:
        """How many producers a partition knows."""
        return int(self._call("describe_producers", topic=topic, partition=partition))

    def list_reassignments(self, topic: str) -> int:
        """How many partitions of a topic are on their way."""
        return int(self._call("list_reassignments", topic=topic))

    def reassign(self, topic: str, replicas: Sequence[int] | None) -> str | None:
        """The error of moving partition 0 there (None: of taking a move back); None: there is
        none."""
        error: str | None = self._call("reassign", topic=topic, replicas=replicas)
        return error


def _by_partition(answers: Mapping[str, Any]) -> dict[int, Any]:
    """JSON's keys are strings, partitions are numbers."""
    return {int(partition): value for partition, value in answers.items()}
