"""DescribeQuorum, UpdateFeatures, quotas, credentials and access control, where none is set up."""

from tools.record.player import Player
from wire.messages.create_acls import AclCreation, CreateAclsRequest
from wire.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest
from wire.messages.describe_acls import DescribeAclsRequest
from wire.messages.describe_client_quotas import ComponentData, DescribeClientQuotasRequest
from wire.messages.describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from wire.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    UserName,
)
from wire.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest

METADATA = "__cluster_metadata"
EXACT, DEFAULT, ANY_NAME = 0, 1, 2
ANY, TOPIC, LITERAL, PREFIXED, READ, ALLOW = 1, 2, 3, 4, 3, 3


def describe_quorum(*topics: tuple[str, list[int]]) -> DescribeQuorumRequest:
    return DescribeQuorumRequest(
        topics=[
            TopicData(
                topic_name=name,
                partitions=[PartitionData(partition_index=index) for index in partitions],
            )
            for name, partitions in topics
        ]
    )


def quorum(kafka: Player) -> None:
    """Who leads the metadata, and who votes; nothing else has a quorum."""
    kafka.setup_topic("quorum-none")
    for version in DescribeQuorumRequest.VERSIONS:
        for title, topics in (
            ("the metadata", [(METADATA, [0])]),
            ("another partition", [(METADATA, [1])]),
            ("two partitions", [(METADATA, [0, 1])]),
            ("no partition", [(METADATA, [])]),
            ("another topic", [("quorum-none", [0])]),
            ("an unknown topic", [("quorum-nowhere", [0, 1])]),
            ("the metadata and another topic", [(METADATA, [0]), ("quorum-none", [0])]),
            ("the metadata twice", [(METADATA, [0]), (METADATA, [0])]),
            ("no name", [("", [0])]),
            ("nothing", []),
        ):
            kafka.send(f"{title}, version {version}", describe_quorum(*topics), version)


def update(*updates: FeatureUpdateKey, validate_only: bool = False) -> UpdateFeaturesRequest:
    return UpdateFeaturesRequest(
        timeout_ms=10_000, feature_updates=list(updates), validate_only=validate_only
    )


def feature(name: str, level: int, *, kind: int = 1, downgrade: bool = False) -> FeatureUpdateKey:
    """`kind`: 1 upgrades, 2 downgrades safely, 3 unsafely; version 0 has only `downgrade`."""
    return FeatureUpdateKey(
        feature=name, max_version_level=level, allow_downgrade=downgrade, upgrade_type=kind
    )


def features(kafka: Player) -> None:
    """Features that nobody knows, levels that cannot be, and no change at all."""
    for version in UpdateFeaturesRequest.VERSIONS:
        for title, updates in (
            ("nothing", ()),
            ("an unknown feature", (feature("no.such.feature", 1),)),
            ("an unknown feature, off", (feature("no.such.feature", 0, downgrade=True),)),
            ("an unknown feature, below zero", (feature("no.such.feature", -1),)),
            ("no name", (feature("", 1),)),
            ("two", (feature("no.such.feature", 1), feature("nor.this", 1))),
            ("one twice", (feature("no.such.feature", 1), feature("no.such.feature", 2))),
        ):
            kafka.send(f"{title}, version {version}", update(*updates), version)
            if version:
                dry = update(*updates, validate_only=True)
                kafka.send(f"{title}, version {version}, validate only", dry, version)
    for version in (1, 2):
        for kind in (0, 2, 3, 4, -1):
            kafka.send(
                f"update type {kind}, version {version}",
                update(feature("no.such.feature", 1, kind=kind)),
                version,
            )
            kafka.send(
                f"update type {kind}, off, version {version}",
                update(feature("no.such.feature", 0, kind=kind)),
                version,
            )


def quotas(kafka: Player) -> None:
    """No client has a quota."""
    cases: tuple[tuple[str, list[tuple[str, int, str | None]]], ...] = (
        ("everything", []),
        ("a user", [("user", EXACT, "alice")]),
        ("the default user", [("user", DEFAULT, None)]),
        ("any user", [("user", ANY_NAME, None)]),
        ("a client id", [("client-id", EXACT, "loader")]),
        ("user and client id", [("user", EXACT, "alice"), ("client-id", EXACT, "loader")]),
        ("an address", [("ip", EXACT, "127.0.0.1")]),
        ("address and user", [("ip", EXACT, "127.0.0.1"), ("user", EXACT, "alice")]),
        ("a user twice", [("user", EXACT, "alice"), ("user", EXACT, "bob")]),
        ("an unknown kind", [("planet", EXACT, "earth")]),
        ("no kind", [("", EXACT, "x")]),
        ("exact without a name", [("user", EXACT, None)]),
        ("the default with a name", [("user", DEFAULT, "alice")]),
        ("any with a name", [("user", ANY_NAME, "alice")]),
        ("an unknown match", [("user", 3, "alice")]),
        ("an address that is none", [("ip", EXACT, "nowhere at all")]),
    )
    for version in DescribeClientQuotasRequest.VERSIONS:
        for title, components in cases:
            for strict in (False, True):
                request = DescribeClientQuotasRequest(
                    components=[
                        ComponentData(entity_type=kind, match_type=match, match=name)
                        for kind, match, name in components
                    ],
                    strict=strict,
                )
                word = "strict" if strict else "loose"
                kafka.send(f"{title}, {word}, version {version}", request, version)


def credentials(kafka: Player) -> None:
    """No user has a credential."""
    cases: tuple[tuple[str, list[str] | None], ...] = (
        ("all", None),
        ("none", []),
        ("one", ["alice"]),
        ("two", ["alice", "bob"]),
        ("one twice", ["alice", "alice"]),
        ("one twice and another", ["alice", "bob", "alice"]),
        ("no name", [""]),
    )
    for title, names in cases:
        users = None if names is None else [UserName(name=name) for name in names]
        kafka.send(title, DescribeUserScramCredentialsRequest(users=users), 0)


def acls(kafka: Player) -> None:
    """There is no authorizer: nothing can be listed, added or taken away."""
    for version in DescribeAclsRequest.VERSIONS:
        everything = DescribeAclsRequest(
            resource_type_filter=ANY,
            resource_name_filter=None,
            pattern_type_filter=ANY,
            principal_filter=None,
            host_filter=None,
            operation=ANY,
            permission_type=ANY,
        )
        kafka.send(f"describe all, version {version}", everything, version)
        one = DescribeAclsRequest(
            resource_type_filter=TOPIC,
            resource_name_filter="t",
            pattern_type_filter=LITERAL,
            principal_filter="User:alice",
            host_filter="*",
            operation=READ,
            permission_type=ALLOW,
        )
        kafka.send(f"describe one, version {version}", one, version)
        for count in (0, 1, 2):
            creations = [_creation(f"t{number}") for number in range(count)]
            request = CreateAclsRequest(creations=creations)
            kafka.send(f"create {count}, version {version}", request, version)
            filters = [_filter(f"t{number}") for number in range(count)]
            kafka.send(
                f"delete {count}, version {version}", DeleteAclsRequest(filters=filters), version
            )
    for title, bad in (
        ("a prefix", _creation("t", pattern=PREFIXED)),
        ("no name", _creation("")),
        ("a principal that is none", _creation("t", principal="alice")),
        ("an unknown resource type", _creation("t", resource_type=99)),
        ("any resource type", _creation("t", resource_type=ANY)),
        ("an unknown pattern", _creation("t", pattern=99)),
        ("a pattern to match", _creation("t", pattern=2)),
        ("an unknown operation", _creation("t", operation=99)),
        ("an unknown permission", _creation("t", permission=99)),
    ):
        for version in CreateAclsRequest.VERSIONS:
            kafka.send(
                f"create: {title}, version {version}",
                CreateAclsRequest(creations=[bad]),
                version,
            )
    for title, number in (("unknown", 0), ("out of range", 99), ("negative", -1)):
        for version in DescribeAclsRequest.VERSIONS:
            request_for = DescribeAclsRequest(
                resource_type_filter=number,
                resource_name_filter=None,
                pattern_type_filter=LITERAL,
                principal_filter=None,
                host_filter=None,
                operation=ANY,
                permission_type=ANY,
            )
            kafka.send(f"describe: {title} type, version {version}", request_for, version)
            kafka.send(
                f"delete: {title} type, version {version}",
                DeleteAclsRequest(filters=[_filter("t", resource_type=number)]),
                version,
            )


def _creation(
    name: str,
    *,
    resource_type: int = TOPIC,
    pattern: int = LITERAL,
    principal: str = "User:alice",
    operation: int = READ,
    permission: int = ALLOW,
) -> AclCreation:
    return AclCreation(
        resource_type=resource_type,
        resource_name=name,
        resource_pattern_type=pattern,
        principal=principal,
        host="*",
        operation=operation,
        permission_type=permission,
    )


def _filter(name: str, *, resource_type: int = TOPIC) -> DeleteAclsFilter:
    return DeleteAclsFilter(
        resource_type_filter=resource_type,
        resource_name_filter=name,
        pattern_type_filter=LITERAL,
        principal_filter=None,
        host_filter=None,
        operation=ANY,
        permission_type=ANY,
    )


SCENARIOS = {
    "describe_quorum/quorum": quorum,
    "update_features/features": features,
    "client_quotas/describe": quotas,
    "scram_credentials/describe": credentials,
    "acls/no_authorizer": acls,
}
