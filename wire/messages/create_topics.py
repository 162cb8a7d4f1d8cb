"""CreateTopics (key 19): create topics."""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    NIL_UUID,
    Request,
    Response,
    Struct,
    array,
    boolean,
    int8,
    int16,
    int32,
    int32_array,
    string,
    uuid,
)


class CreatableReplicaAssignment(Struct):
    """The replicas chosen for one partition."""

    partition_index: int = int32()
    broker_ids: list[int] = int32_array()


class CreatableTopicConfig(Struct):
    """One config to set."""

    name: str = string()
    value: str | None = string(nullable="0+")


class CreatableTopic(Struct):
    """One topic; -1 for the default number of partitions or replicas."""

    name: str = string()
    num_partitions: int = int32()
    replication_factor: int = int16()
    assignments: list[CreatableReplicaAssignment] = array(CreatableReplicaAssignment)
    configs: list[CreatableTopicConfig] = array(CreatableTopicConfig)


class CreateTopicsRequest(Request, api_key=ApiKey.CREATE_TOPICS, versions="2-7", flexible="5+"):
    """Topics to create, or only to validate."""

    topics: list[CreatableTopic] = array(CreatableTopic)
    timeout_ms: int = int32(default=60000)
    validate_only: bool = boolean(default=False)


class CreatableTopicConfigs(Struct):
    """One config in force and where it comes from."""

    name: str = string()
    value: str | None = string(nullable="0+")
    read_only: bool = boolean()
    config_source: int = int8(default=-1)
    is_sensitive: bool = boolean()


class CreatableTopicResult(Struct):
    """The topic created, or why not."""

    name: str = string()
    topic_id: bytes = uuid("7+", default=NIL_UUID)
    error_code: int = int16()
    error_message: str | None = string(nullable="0+")
    topic_config_error_code: int = int16("5+", tag=0, default=0)
    num_partitions: int = int32("5+", default=-1)
    replication_factor: int = int16("5+", default=-1)
    configs: list[CreatableTopicConfigs] | None = array(
        CreatableTopicConfigs, "5+", nullable="5+", default=()
    )


class CreateTopicsResponse(Response, api_key=ApiKey.CREATE_TOPICS, versions="2-7", flexible="5+"):
    """The outcome for every topic."""

    throttle_time_ms: int = int32(default=0)
    topics: list[CreatableTopicResult] = array(CreatableTopicResult)
