"""Changing what is set on brokers, groups and subscriptions, and what the brokers' defaults reach.

Counterpart: `topic_changes.py` for what is set on a topic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from kbroker.cluster.controller_term import MAX_ATTEMPTS, ControllerTerm
from kbroker.cluster.metadata_image import TopicImage
from kbroker.cluster.metadata_records import ConfigRecord, decode_config, encode_config
from kbroker.cluster.metadata_store import Delete, Operation, Put, modified_at
from kbroker.cluster.topic_changes import ConfigChange, change_topic_configs
from wire.errors import ErrorCode, KafkaError


async def change_configs(
    term: ControllerTerm, key: str, change: ConfigChange, *, is_own: bool = False
) -> int:
    """Change the ConfigRecord under `key` by compare-and-swap; returns the revision to wait for.

    A record that holds nothing is no record. `is_own`: it is this broker's, which needs no office
    to change it. KafkaError: whatever `change` raises.
    """
    transact = term.store.transact if is_own else term.transact
    for _ in range(MAX_ATTEMPTS):
        kv = await term.store.get(key)
        revision = 0 if kv is None else kv.mod_revision
        configs: Mapping[str, str] = {} if kv is None else decode_config(kv.value).configs
        changed = dict(change(configs))
        if changed == configs:
            return revision
        operation: Operation = Delete(key)
        if changed:
            operation = Put(key, encode_config(ConfigRecord(changed)))
        result = await transact([modified_at(key, revision)], [operation])
        if result.succeeded:
            return result.revision
    raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, "these configs change too fast")


async def spread_min_isr(
    term: ControllerTerm,
    topics: Iterable[TopicImage],
    min_isr_of: Callable[[Mapping[str, str]], int],
) -> int:
    """Bring topics without a min.insync.replicas of their own in line with the brokers' default.

    Returns the last revision that it made, else 0.
    """
    revision = 0
    for topic in topics:
        if topic.min_isr != min_isr_of(topic.configs):
            try:
                revision = await change_topic_configs(term, topic.topic_id, dict, min_isr_of)
            except KafkaError as error:
                if error.code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:  # deleted meanwhile
                    raise
    return revision
