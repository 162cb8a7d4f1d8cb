"""kafka-python's admin calls, 2.2 and 3.0 alike where both have one (see protocol.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import kafka
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    NewPartitions,
    ResourcePatternFilter,
    ResourceType,
)
from protocol import OPERATION_TIMEOUT_S, error_name

OPERATION_TIMEOUT_MS = int(OPERATION_TIMEOUT_S * 1000)
IS_OLD = kafka.__version__.startswith("2.")


class KafkaPythonAdmin:
    """Stateless."""

    def create_partitions(self, bootstrap: str, topic: str, count: int) -> None:
        with _admin(bootstrap) as admin:
            admin.create_partitions({topic: NewPartitions(count)}, timeout_ms=OPERATION_TIMEOUT_MS)

    def delete_records(self, bootstrap: str, topic: str, offsets: dict[str, int]) -> dict[int, int]:
        wanted = {TopicPartition(topic, int(at)): offset for at, offset in offsets.items()}
        with _admin(bootstrap) as admin:
            answers = admin.delete_records(wanted, timeout_ms=OPERATION_TIMEOUT_MS)
        return {at.partition: answer["low_watermark"] for at, answer in answers.items()}

    def describe_cluster(self, bootstrap: str) -> dict[str, Any]:
        with _admin(bootstrap) as admin:
            cluster = admin.describe_cluster()
        return {
            "controller": cluster["controller_id"],
            "nodes": [
                broker.get("broker_id", broker.get("node_id")) for broker in cluster["brokers"]
            ],
            "cluster_id": cluster["cluster_id"],
        }

    def describe_configs(self, bootstrap: str, topic: str) -> dict[str, str | None]:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        with _admin(bootstrap) as admin:
            if not IS_OLD:
                found = admin.describe_configs([resource], config_filter="all")
                return {name: each["value"] for name, each in found["topic"][topic].items()}
            [answer] = admin.describe_configs([resource])
        [(code, message, _kind, _name, entries)] = answer.resources
        if code:
            raise kafka.errors.for_code(code)(message)
        return {entry[0]: entry[1] for entry in entries}

    def alter_config(self, bootstrap: str, topic: str, key: str, value: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={key: value})
        with _admin(bootstrap) as admin:
            if not IS_OLD:
                # An error is told as text, `[Error 40] ...`, where there is none it is "OK".
                result = admin.alter_configs([resource])["topic"][topic]
                if failed := re.match(r"\[Error (\d+)\]", result):
                    raise kafka.errors.for_code(int(failed[1]))(result)
                return
            for code, message, *_ in admin.alter_configs([resource]).resources:
                if code:
                    raise kafka.errors.for_code(code)(message)

    def elect_leaders(self, bootstrap: str, topic: str, partitions: list[int]) -> dict[int, str]:
        with _admin(bootstrap) as admin:
            if IS_OLD:
                answer = admin.perform_leader_election(0, {topic: partitions})
            else:
                answer = admin.elect_leaders(0, {topic: partitions}, raise_errors=False)
        if IS_OLD:
            results = [each for _, found in answer.replication_election_results for each in found]
        else:
            results = [
                (each.partition_id, each.error_code)
                for found in answer.replica_election_results
                for each in found.partition_result
            ]
        return {partition: error_name(code, "") for partition, code, *_ in results}

    def list_offset(self, bootstrap: str, topic: str, partition: int, timestamp: int) -> int:
        at = TopicPartition(topic, partition)
        with _admin(bootstrap) as admin:
            return int(admin.list_partition_offsets({at: timestamp})[at].offset)

    def describe_log_dirs(self, bootstrap: str, topic: str) -> dict[int, int]:
        with _admin(bootstrap) as admin:
            answers = admin.describe_log_dirs([topic])
        return {
            partition["partition_index"]: partition["partition_size"]
            for answer in answers
            for directory in answer["log_dirs"]
            for each in directory["topics"]
            if each["name"] == topic
            for partition in each["partitions"]
        }

    def describe_acls(self, bootstrap: str) -> int:
        """How many there are."""
        any_resource = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        any_acl = ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, any_resource)
        with _admin(bootstrap) as admin:
            found, error = admin.describe_acls(any_acl)
        if error.errno:
            raise error
        return len(found)

    def describe_quorum(self, bootstrap: str) -> dict[str, Any]:
        with _admin(bootstrap) as admin:
            quorum = admin.describe_metadata_quorum()
        partition = quorum["topics"][0]["partitions"][0]
        voters = [voter["replica_id"] for voter in partition["current_voters"]]
        return {"leader": partition["leader_id"], "voters": voters}

    def describe_pages(self, bootstrap: str, topic: str, limit: int) -> list[list[int]]:
        """The partitions of each page."""
        pages: list[list[int]] = []
        cursor = None
        with _admin(bootstrap) as admin:
            while True:
                page = admin.describe_topic_partitions([topic], limit, cursor)
                [found] = page["topics"]
                pages.append([each["partition_index"] for each in found["partitions"]])
                cursor = page["next_cursor"]
                if cursor is None:
                    return pages

    def describe_producers(self, bootstrap: str, topic: str, partition: int) -> int:
        """How many producers the partition knows."""
        at = TopicPartition(topic, partition)
        with _admin(bootstrap) as admin:
            return len(admin.describe_producers([at])[at].active_producers)

    def list_reassignments(self, bootstrap: str, topic: str) -> int:
        """How many partitions of the topic are on their way."""
        with _admin(bootstrap) as admin:
            return len(admin.list_partition_reassignments({topic: [0]}))

    def reassign(self, bootstrap: str, topic: str, replicas: list[int] | None) -> str | None:
        """The error of moving partition 0 there; None: there is none."""
        at = TopicPartition(topic, 0)
        with _admin(bootstrap) as admin:
            answer = admin.alter_partition_reassignments({at: replicas})
        error = answer[at]
        return None if error is None or error.errno == 0 else error_name(error.errno, "")


@contextmanager
def _admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=OPERATION_TIMEOUT_MS)
    with closing(admin):
        yield admin
