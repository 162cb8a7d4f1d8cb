"""kafka-python as a member of a group, and its group administration, in both versions (see
kafka_python.py). The names of the administration's methods differ, and what they answer."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import kafka
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.structs import OffsetAndMetadata
from protocol import ClientError, Received, error_name, received_of

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}
POLL_MS = 500
"""Longer than others': 3.0 forgets a join that outlasts its poll, if new metadata asked for it."""


def _assignor(name: str) -> Any:
    if name == "cooperative-sticky":  # 2.2 has none
        from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

        return CooperativeStickyAssignor
    return ASSIGNORS[name]


class KafkaPythonMember(ConsumerRebalanceListener):
    """Mutable: the consumer, which tells of its rebalances."""

    def __init__(self, bootstrap: str, group: str, topic: str, options: dict[str, Any]) -> None:
        self.rebalances = 0
        self._topic = topic
        static = {"group_instance_id": options["instance"]} if options["instance"] else {}
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            client_id=options["client_id"],
            enable_auto_commit=False,
            auto_offset_reset=options["reset"],
            partition_assignment_strategy=[_assignor(options["assignor"])],
            session_timeout_ms=options["session_ms"],
            heartbeat_interval_ms=options["heartbeat_ms"],
            allow_auto_create_topics=False,
            receive_message_max_bytes=100_000_000,
            **static,
        )
        self._consumer.subscribe([topic], listener=self)
        # Metadata that comes after the join is news to the leader, who then joins anew: 2.2 loses
        # what it sought to or did not commit, and see POLL_MS. What it learns before is none.
        self._consumer.partitions_for_topic(topic)

    def on_partitions_revoked(self, revoked: Any) -> None: ...

    def on_partitions_lost(self, lost: Any) -> None: ...

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.rebalances += 1

    def poll(self) -> list[Received]:
        try:
            batches = self._consumer.poll(POLL_MS)
        except kafka.errors.KafkaConnectionError:  # 3.0 raises it; the next poll tries again
            return []
        return [received_of(record) for batch in batches.values() for record in batch]

    def assignment(self) -> list[int]:
        return sorted(at.partition for at in self._consumer.assignment())

    def commit(self) -> None:
        self._consumer.commit()

    def seek(self, partition: int, offset: int) -> None:
        self._consumer.seek(TopicPartition(self._topic, partition), offset)

    def committed(self, partition: int) -> int | None:
        found = self._consumer.committed(TopicPartition(self._topic, partition))
        return None if found is None else int(found)

    def position(self, partition: int) -> int:
        return int(self._consumer.position(TopicPartition(self._topic, partition)))

    def close(self) -> None:
        self._consumer.close()


class KafkaPythonGroups:
    """The administration of groups."""

    def list_groups(self, bootstrap: str) -> dict[str, str | None]:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            if hasattr(admin, "list_groups"):
                groups = admin.list_groups()
                return {each["group_id"]: each["group_state"] for each in groups}
            return {group: None for group, _ in admin.list_consumer_groups()}

    def describe_group(self, bootstrap: str, group: str) -> dict[str, Any]:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            if hasattr(admin, "describe_groups"):
                return _described(admin.describe_groups([group])[group])
            [found] = admin.describe_consumer_groups([group])
        return {
            "state": found.state,
            "protocol": found.protocol,
            "members": [
                [member.client_id, _partitions_2(member.member_assignment)]
                for member in found.members
            ],
        }

    def delete_group(self, bootstrap: str, group: str) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            if hasattr(admin, "delete_groups"):
                name = admin.delete_groups([group])[group]
                error = None if name == "OK" else getattr(kafka.errors, name)
            else:
                [(_, error)] = admin.delete_consumer_groups([group])
        _check(_code(error), group)

    def group_offsets(self, bootstrap: str, group: str, topic: str) -> dict[int, int]:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            if hasattr(admin, "list_group_offsets"):
                found = admin.list_group_offsets(group)[group]
            else:
                found = admin.list_consumer_group_offsets(group)
        return {at.partition: kept.offset for at, kept in found.items() if at.topic == topic}

    def alter_group_offsets(
        self, bootstrap: str, group: str, topic: str, offsets: dict[int, int]
    ) -> None:
        wanted = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
        }
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            answer = admin.alter_group_offsets(group, wanted)
        for at, error in answer.items():
            _check(_code(error), str(at))

    def delete_group_offsets(
        self, bootstrap: str, group: str, topic: str, partitions: list[int]
    ) -> None:
        wanted = [TopicPartition(topic, partition) for partition in partitions]
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            answer = admin.delete_group_offsets(group, wanted)
        for at, error in answer.items():
            _check(_code(error), str(at))

    def remove_member(self, bootstrap: str, group: str, instance: str) -> None:
        from kafka.admin import MemberToRemove  # 2.2 has none

        wanted = MemberToRemove(group_instance_id=instance)
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
            answer = admin.remove_group_members(group, [wanted])
        for error in answer.values():
            _check(_code(error), instance)


def _described(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "state": found["group_state"],
        "protocol": found["protocol_data"],
        "members": [
            [member["client_id"], _partitions_3(member["member_assignment"])]
            for member in found["members"]
        ],
    }


def _partitions_3(assignment: Any) -> list[int]:
    if not assignment:
        return []
    return sorted(at for each in assignment["assigned_partitions"] for at in each["partitions"])


def _partitions_2(assignment: Any) -> list[int]:
    """An empty assignment is not decoded: it stays bytes."""
    if not assignment:
        return []
    return sorted(at for _topic, partitions in assignment.assignment for at in partitions)


def _code(error: Any) -> int:
    """Of an error's class, or of one of its objects."""
    return int(getattr(error, "errno", 0))


def _check(code: int, what: str) -> None:
    if code:
        raise ClientError(error_name(code, ""), what)
