"""Going on from metadata that were restored from a backup: what to write (pure).

What the backup has forgotten, the brokers' disks may still show: batches of later leader epochs,
producer ids of later blocks. So every partition's epochs, and the ids, go past whatever can have
been given out since. Nothing else is changed: who is in sync is what the backup says, and records
that were acknowledged after it may be lost where that is no longer so.

The id of the restoration comes last, into the key `restores`: until then no broker that has seen
more goes by the store (`store_history.py`), and what was interrupted can be repeated.
Counterpart: `kbroker/metadata_restoration.py`, which does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kbroker.cluster.keys import KeyKind, Keys
from kbroker.cluster.metadata_records import (
    ProducerIdBlock,
    decode_cluster,
    decode_partition,
    decode_producer_id_block,
    encode_partition,
    encode_producer_id_block,
)
from kbroker.cluster.metadata_store import (
    MAX_TRANSACTION_OPERATIONS,
    Compare,
    KeyValue,
    Listing,
    Put,
    key_absent,
    modified_at,
)
from kbroker.cluster.store_history import decode_restores, encode_restores

EPOCHS_BEYOND = 1_000_000
"""More than elections since any backup; 2,000 times as many fit into an epoch's 32 bits."""
PRODUCER_IDS_BEYOND = 1_000_000_000
"""A million of the blocks that brokers are given."""


class RestorationRefusedError(Exception):
    """It cannot be done now. The message is one line."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """`puts`: what is written before `note`, each over the very key that was read."""

    cluster_id: str
    revision: int
    partition_count: int
    puts: tuple[tuple[KeyValue, Put], ...]
    note: tuple[Compare, Put]


def plan_restoration(listing: Listing, keys: Keys, restore_id: str) -> Restoration:
    """RestorationRefusedError: there is no cluster, or a broker is registered."""
    by_key = {kv.key: kv for kv in listing.items}
    if keys.cluster not in by_key:
        raise RestorationRefusedError(f"there is no cluster at {keys.prefix}")
    registered = [key[len(keys.brokers) :] for key in by_key if key.startswith(keys.brokers)]
    if registered:
        raise RestorationRefusedError(
            f"brokers are registered: {', '.join(registered)}. Stop them; what the backup has of"
            " them ends with their leases, within seconds"
        )
    puts = []
    partition_count = 0
    for kv in listing.items:
        parsed = keys.parse(kv.key)
        if parsed is not None and parsed.kind is KeyKind.PARTITION:
            puts.append((kv, Put(kv.key, _partition_beyond(kv))))
            partition_count += 1
        elif parsed is not None and parsed.kind is KeyKind.PRODUCER_ID_BLOCK:
            beyond = decode_producer_id_block(kv.value).next_producer_id + PRODUCER_IDS_BEYOND
            puts.append((kv, Put(kv.key, encode_producer_id_block(ProducerIdBlock(beyond)))))
    before = by_key.get(keys.restores)
    unchanged = (
        key_absent(keys.restores)
        if before is None
        else modified_at(keys.restores, before.mod_revision)
    )
    return Restoration(
        cluster_id=decode_cluster(by_key[keys.cluster].value).cluster_id,
        revision=listing.revision,
        partition_count=partition_count,
        puts=tuple(puts),
        note=(
            unchanged,
            Put(keys.restores, encode_restores((*decode_restores(before), restore_id))),
        ),
    )


def _partition_beyond(kv: KeyValue) -> bytes:
    record = decode_partition(kv.value, kv.mod_revision)
    return encode_partition(
        replace(
            record,
            leader_epoch=record.leader_epoch + EPOCHS_BEYOND,
            partition_epoch=record.partition_epoch + EPOCHS_BEYOND,
        )
    )


def batches(
    puts: Sequence[tuple[KeyValue, Put]],
) -> Iterator[tuple[list[Compare], list[Put]]]:
    """In transactions, each of which is right by itself."""
    size = MAX_TRANSACTION_OPERATIONS
    for start in range(0, len(puts), size):
        some = puts[start : start + size]
        yield [modified_at(kv.key, kv.mod_revision) for kv, _ in some], [put for _, put in some]
