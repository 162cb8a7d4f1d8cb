"""Moving a single node's metadata into a store that brokers share: what to write (pure).

The node becomes the first broker of a cluster with its data. Everything is taken over but what
lasts for one life of a broker: registrations, admissions, the controller's office.

In this order, so that an interrupted migration can be repeated and nobody takes half of one for a
cluster: the key `migration`, which says whose it is and keeps new clusters out; everything else, in
batches that write only what is absent; when all is verified, the key `meta`, in exchange for
`migration`. Counterpart: `kbroker/metadata_migration.py`, which does it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kbroker.cluster.keys import KeyKind, Keys
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import FORMAT_VERSION, ClusterRecord, decode_cluster
from kbroker.cluster.metadata_store import (
    MAX_TRANSACTION_OPERATIONS,
    Compare,
    Delete,
    KeyValue,
    Listing,
    Operation,
    Put,
    key_absent,
    modified_at,
)

MAX_BATCH_BYTES = 512 << 10
"""Of keys and values: as base64 in JSON they stay below etcd's limit of 1.5 MiB a request."""
OF_ONE_LIFE = frozenset({KeyKind.BROKER, KeyKind.ADMISSION, KeyKind.CONTROLLER})


class MigrationRefusedError(Exception):
    """Something does not match, or is out of reach. The message is one line."""


@dataclass(frozen=True, slots=True)
class Source:
    """A single node's metadata. `puts` go by keys of the target; `cluster` comes last."""

    cluster: Put
    marker: Put
    puts: tuple[Put, ...]
    counts: Mapping[str, int]  # of keys, by what they are about
    cluster_id: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is still to be done. `marker_revision` 0: even the first step."""

    puts: tuple[Put, ...]
    marker_revision: int = 0
    is_done: bool = False


def read_source(listing: Listing, keys: Keys, target: Keys, *, node_id: int) -> Source:
    """What is to be moved to the keys of `target`. MigrationRefusedError."""
    image = MetadataImage(keys)
    try:
        image.replace_with(listing)
    except ValueError as error:
        raise MigrationRefusedError(str(error)) from None
    cluster = image.cluster
    if cluster is None:
        raise MigrationRefusedError("there is no cluster in this node's metadata")
    _check_source(image, cluster, node_id)
    moved = [kv for kv in listing.items if _is_moved(keys, kv)]
    puts = {kv.key: Put(target.prefix + kv.key[len(keys.prefix) :], kv.value) for kv in moved}
    document = {"cluster_id": cluster.cluster_id, "node_id": node_id}
    return Source(
        cluster=puts.pop(keys.cluster),
        marker=Put(target.migration, json.dumps(document, sort_keys=True).encode()),
        puts=tuple(puts.values()),
        counts=_counts(image, len(moved)),
        cluster_id=cluster.cluster_id,
    )


def _check_source(image: MetadataImage, cluster: ClusterRecord, node_id: int) -> None:
    if cluster.format_version > FORMAT_VERSION:
        raise MigrationRefusedError(
            f"this node's metadata has format version {cluster.format_version};"
            f" this release knows versions up to {FORMAT_VERSION}"
        )
    for topic in image.topics.values():
        for number, partition in topic.partitions.items():
            others = sorted({*partition.replicas} - {node_id})
            if others:
                raise MigrationRefusedError(
                    f"{topic.name}-{number} has replicas on other nodes than {node_id}:"
                    f" {', '.join(map(str, others))}"
                )


def _is_moved(keys: Keys, kv: KeyValue) -> bool:
    """Keys that this release does not know are moved: it does not know that they need not be."""
    parsed = keys.parse(kv.key)
    return parsed is None or parsed.kind not in OF_ONE_LIFE


def _counts(image: MetadataImage, total: int) -> dict[str, int]:
    found = Counter(
        {
            "topics": len(image.topics),
            "partitions": sum(len(topic.partitions) for topic in image.topics.values()),
            "settings of brokers": len(image.broker_configs),
            "settings of groups": len(image.group_configs),
            "subscriptions of metrics": len(image.client_metrics),
            "deleted topics": len(image.deleted_topics),
        }
    )
    return {**found, "keys in all": total}


def compare_target(source: Source, listing: Listing, keys: Keys) -> Remaining:
    """What is left to do in a store that holds these keys. MigrationRefusedError: it is another's,
    or holds something that is not to be overwritten."""
    there = {kv.key: kv for kv in listing.items}
    if keys.cluster in there:
        return _compare_cluster(source, there, keys)
    marker = there.pop(keys.migration, None)
    if marker is not None and marker.value != source.marker.value:
        raise MigrationRefusedError(
            f"another migration has begun there, and has not ended: {marker.value.decode()!r}"
        )
    wanted = {put.key: put.value for put in source.puts}
    foreign = [key for key, kv in sorted(there.items()) if wanted.get(key) != kv.value]
    if foreign or (there and marker is None):
        found = foreign[0] if foreign else min(there)
        raise MigrationRefusedError(
            f"there are keys already, {found} for one: choose another name, .../NAME, or empty it"
        )
    return Remaining(
        tuple(put for put in source.puts if put.key not in there),
        0 if marker is None else marker.mod_revision,
    )


def _compare_cluster(source: Source, there: Mapping[str, KeyValue], keys: Keys) -> Remaining:
    """A migration that has written everything, and was interrupted before it told the directory."""
    try:
        cluster = decode_cluster(there[keys.cluster].value)
    except ValueError as error:
        raise MigrationRefusedError(str(error)) from None
    if cluster.cluster_id != source.cluster_id:
        raise MigrationRefusedError(
            f"there is a cluster already, {cluster.cluster_id}; this node's is {source.cluster_id}"
        )
    missing = [
        put.key for put in source.puts if put.key.startswith(keys.topics) and put.key not in there
    ]
    if missing:
        raise MigrationRefusedError(
            f"this node's cluster is there already, and lacks {missing[0]}: it has gone on since"
        )
    return Remaining((), is_done=True)


def begin(source: Source, keys: Keys) -> tuple[list[Compare], list[Operation]]:
    """The first transaction."""
    return [key_absent(keys.cluster), key_absent(keys.migration)], [source.marker]


def batches(remaining: Remaining, keys: Keys) -> Iterator[tuple[list[Compare], list[Operation]]]:
    """The transactions between the first and the last: each writes what is absent, for as long as
    the migration is ours."""
    mine = modified_at(keys.migration, remaining.marker_revision)
    for puts in _split(remaining.puts):
        yield [mine, *(key_absent(put.key) for put in puts)], list(puts)


def _split(puts: Sequence[Put]) -> Iterator[list[Put]]:
    batch: list[Put] = []
    size_bytes = 0
    for put in puts:
        put_bytes = len(put.key) + len(put.value)
        is_full = len(batch) == MAX_TRANSACTION_OPERATIONS - 1  # one compare is about the marker
        if batch and (is_full or size_bytes + put_bytes > MAX_BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(put)
        size_bytes += put_bytes
    if batch:
        yield batch


def finish(
    source: Source, remaining: Remaining, keys: Keys
) -> tuple[list[Compare], list[Operation]]:
    """The last transaction: from now on it is a cluster."""
    assert not remaining.puts
    mine = modified_at(keys.migration, remaining.marker_revision)
    return [mine, key_absent(keys.cluster)], [source.cluster, Delete(keys.migration)]
