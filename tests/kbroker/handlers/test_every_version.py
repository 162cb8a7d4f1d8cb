"""Every API in every version that is served: a good request, a refusal, and what it advertises."""

from __future__ import annotations

import asyncio
import struct

import pytest

from kbroker.handlers import HANDLERS
from tests.kbroker.broker_harness import Client, Running, values_in, with_broker
from tests.kbroker.handlers.group_requests import OF_MEMBERS
from tests.kbroker.handlers.requests import (
    MAKERS,
    Target,
    api_versions,
    create_topics,
    delete_topics,
    error_codes,
    every_version,
    fetch,
    find_coordinator,
    list_offsets,
    metadata,
    offset_commit,
    offset_fetch,
    produce,
)
from wire.api_key import ApiKey
from wire.compiler import decode, encode
from wire.errors import ErrorCode
from wire.messages import MESSAGES

ALWAYS_TOLD: dict[ApiKey, set[ErrorCode]] = {
    ApiKey.ELECT_LEADERS: {ErrorCode.ELECTION_NOT_NEEDED},
    ApiKey.UNREGISTER_BROKER: {ErrorCode.BROKER_ID_NOT_REGISTERED},
    ApiKey.DESCRIBE_ACLS: {ErrorCode.SECURITY_DISABLED},
    ApiKey.CREATE_ACLS: {ErrorCode.SECURITY_DISABLED},
    ApiKey.DELETE_ACLS: {ErrorCode.SECURITY_DISABLED},
}
"""What even a good request hears on one broker that has no authorizer."""


def versions(key: ApiKey) -> range:
    return HANDLERS[key].versions


def test_every_api_of_the_table_has_a_request_here() -> None:
    assert set(MAKERS) == set(HANDLERS)


def test_a_good_request_is_answered_without_an_error_in_every_version() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        topic_id = await client.create("good")
        await client.ask(find_coordinator(Target("good", topic_id), 4), 4)
        for key, version in every_version():
            target = Target("good", topic_id)
            if key == ApiKey.DELETE_TOPICS:
                name = f"doomed-{version}"
                target = Target(name, await client.create(name))
            if key == ApiKey.DELETE_GROUPS:
                await client.ask(offset_commit(target, 8, group=f"doomed-{version}"), 8)
            if key in OF_MEMBERS:
                continue  # only together: test_groups
            answer = await client.ask(MAKERS[key](target, version), version)
            codes = set(error_codes(answer)) - ALWAYS_TOLD.get(key, set())
            assert not any(codes), f"{key.name} v{version}: {answer}"

    with_broker(scenario)


def test_records_come_back_in_every_version_of_produce_and_fetch() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        sent = []
        for version in versions(ApiKey.PRODUCE):
            for acks in (1, -1):
                value = b"v%d acks %d" % (version, acks)
                answer = await client.ask(produce(target, version, value, acks=acks), version)
                (topic,) = answer.responses
                (partition,) = topic.partition_responses
                assert (partition.error_code, partition.base_offset) == (0, len(sent))
                assert topic.topic_id == (target.topic_id if version >= 13 else bytes(16))
                sent.append(value)
        for version in versions(ApiKey.FETCH):
            answer = await client.ask(fetch(target, version), version)
            (topic,) = answer.responses
            (partition,) = topic.partitions
            assert values_in(partition.records) == sent, f"v{version}"
            assert partition.high_watermark == partition.last_stable_offset == len(sent)
            assert topic.topic == ("" if version >= 13 else "t")

    with_broker(scenario)


def test_a_committed_offset_is_told_in_every_version() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"))
        await client.ask(find_coordinator(target, 4), 4)
        for offset, commit_version in enumerate(versions(ApiKey.OFFSET_COMMIT)):
            request = offset_commit(target, commit_version, offset=offset)
            await client.ask(request, commit_version)
            for version in versions(ApiKey.OFFSET_FETCH):
                answer = await client.ask(offset_fetch(target, version), version)
                topics = answer.topics if version < 8 else answer.groups[0].topics
                (partition,) = topics[0].partitions
                assert partition.committed_offset == offset
                assert partition.metadata == "note"

    with_broker(scenario)


def test_a_topic_is_usable_when_it_is_created_and_gone_when_it_is_deleted() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        for version in versions(ApiKey.CREATE_TOPICS):
            answer = await client.ask(create_topics(Target("", b""), version), version)
            assert answer.topics[0].error_code == 0
            name = f"new-{version}"
            described = await client.ask(metadata(Target(name, b""), 12), 12)
            (topic,) = described.topics
            assert len(topic.partitions) == 2
            target = Target(name, topic.topic_id, partition=1)
            answer = await client.ask(produce(target, 9), 9)
            assert not any(error_codes(answer))
            await client.ask(delete_topics(target, 6), 6)
            answer = await client.ask(produce(target, 9), 9)
            assert list(error_codes(answer)) == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]

    with_broker(scenario)


UNKNOWN = {
    ApiKey.PRODUCE: (13, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID),
    ApiKey.FETCH: (13, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID),
    ApiKey.LIST_OFFSETS: (99, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
    ApiKey.OFFSET_COMMIT: (10, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID),
    ApiKey.DELETE_TOPICS: (6, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: (99, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
    ApiKey.DELETE_RECORDS: (99, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
    ApiKey.DESCRIBE_PRODUCERS: (99, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
    ApiKey.ELECT_LEADERS: (99, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: (99, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None),
}


def test_an_unknown_topic_is_told_in_every_version() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("nowhere", b"n" * 16)
        await client.ask(find_coordinator(target, 4), 4)
        for key, (by_id_since, by_name, by_id) in UNKNOWN.items():
            for version in versions(key):
                answer = await client.ask(MAKERS[key](target, version), version)
                expected = by_id if version >= by_id_since else by_name
                codes = [code for code in error_codes(answer) if code]
                assert codes == [expected], f"{key.name} v{version}"

    with_broker(scenario)


def test_a_partition_that_does_not_exist_is_told_in_every_version() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("t", await client.create("t"), partition=7)
        await client.ask(find_coordinator(target, 4), 4)
        for key in UNKNOWN:
            if key == ApiKey.DELETE_TOPICS:
                continue
            for version in versions(key):
                answer = await client.ask(MAKERS[key](target, version), version)
                codes = [code for code in error_codes(answer) if code]
                assert codes == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION], f"{key.name} v{version}"

    with_broker(scenario)


@pytest.mark.parametrize("code", [ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.KAFKA_STORAGE_ERROR])
def test_a_request_that_fails_as_a_whole_has_an_answer_in_every_version(code: ErrorCode) -> None:
    for key, version in every_version():
        row = HANDLERS[key]
        made = MAKERS[key](Target("t", b"t" * 16), version)
        # As it comes from a client, so that absent fields have their defaults.
        data = b"".join(bytes(part) for part in encode(made, version))  # type: ignore[arg-type]
        request, _ = decode(row.request, version, memoryview(bytearray(data)))
        response = row.error_response(request, version, code)
        encoded = b"".join(bytes(part) for part in encode(response, version))  # type: ignore[arg-type]
        answer, end = decode(MESSAGES[key][1], version, encoded)
        assert end == len(encoded)
        if key == ApiKey.METADATA and version < 13:
            # Only topics have a code there.
            assert {topic.error_code for topic in answer.topics} == {code}
            continue
        if key == ApiKey.OFFSET_FETCH and version == 1:
            assert {each.error_code for each in answer.topics[0].partitions} == {code}
            continue
        if key == ApiKey.DESCRIBE_LOG_DIRS and version < 3:
            assert not answer.results, "there is no place for a code of the whole"
            continue
        assert code in list(error_codes(answer)), f"{key.name} v{version}: {answer}"


def test_api_versions_advertises_the_table() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        for version in versions(ApiKey.API_VERSIONS):
            answer = await client.ask(api_versions(Target("", b""), version), version)
            listed = {
                each.api_key: (each.min_version, each.max_version) for each in answer.api_keys
            }
            assert listed == {
                int(key): (row.advertised.start, row.advertised.stop - 1)
                for key, row in HANDLERS.items()
            }
            assert [each.api_key for each in answer.api_keys] == sorted(listed)
            assert listed[ApiKey.PRODUCE][0] == 0, "librdkafka compresses only where it sees 0"

    with_broker(scenario)


def test_a_version_of_api_versions_that_is_too_new_gets_a_downgrade() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        client.writer.write(struct.pack(">ihhihb", 11, 18, 99, 7, -1, 0))
        (size,) = struct.unpack(">i", await client.reader.readexactly(4))
        frame = await client.reader.readexactly(size)
        assert struct.unpack_from(">ih", frame) == (7, ErrorCode.UNSUPPORTED_VERSION)
        answer, end = decode(MESSAGES[ApiKey.API_VERSIONS][1], 0, frame, 4)
        assert end == len(frame)
        (own,) = [each for each in answer.api_keys if each.api_key == 18]
        assert (own.min_version, own.max_version) == (0, 4)
        again = await client.ask(api_versions(Target("", b""), 4), 4)
        assert again.error_code == 0, "the connection goes on"

    with_broker(scenario)


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">hhih", 0, 2, 1, -1),  # Produce 2: advertised, not served
        struct.pack(">hhih", 1, 99, 1, -1),
        struct.pack(">hhih", 999, 0, 1, -1),
        struct.pack(">hhih", 3, 1, 1, -1),  # the body is missing
        b"",
        b"\x00",
    ],
)
def test_what_cannot_be_answered_closes_the_connection(frame: bytes) -> None:
    async def scenario(broker: Running, client: Client) -> None:
        client.writer.write(struct.pack(">i", len(frame)) + frame)
        assert await client.is_closed()
        other = await broker.client()
        assert (await other.ask(list_offsets(Target("t", b""), 5), 5)) is not None
        other.close()
        await asyncio.sleep(0)

    with_broker(scenario)
