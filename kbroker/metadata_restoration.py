"""Accepts metadata that were restored from a backup, while all brokers are stopped.

Counterparts: `cluster/restoration.py` (what is written), `cluster/store_history.py` (why brokers
refuse before), `cli/metadata.py` (the command).
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_store import MetadataStore, MetadataStoreError
from kbroker.cluster.restoration import (
    Restoration,
    RestorationRefusedError,
    batches,
    plan_restoration,
)
from kbroker.cluster.topic_ids import random_id, topic_id_text
from kbroker.config.broker_config import BrokerConfig
from kbroker.metadata_migration import open_target

__all__ = ["RestorationRefusedError", "RestorationReport", "accept", "accept_restore"]


@dataclass(frozen=True, slots=True)
class RestorationReport:
    """What is to be done, or was. `target`: the store, for a person."""

    cluster_id: str
    target: str
    revision: int
    partition_count: int


def accept_restore(config: BrokerConfig, *, apply: bool) -> RestorationReport:
    """Of `kbroker.metadata`; without `apply` nothing is changed. RestorationRefusedError, in one
    line: then it can be repeated."""
    with asyncio.Runner() as runner:
        return runner.run(_accept_restore(config, apply=apply))


async def _accept_restore(config: BrokerConfig, *, apply: bool) -> RestorationReport:
    url = config.metadata_url()
    if url is None:
        raise RestorationRefusedError("there is nothing to accept but in etcd://HOST:PORT")
    keys = Keys(url.cluster)
    restore_id = topic_id_text(random_id(random.Random()))
    try:
        async with open_target(config) as store:
            plan = plan_restoration(await store.list(keys.prefix), keys, restore_id)
            if apply:
                await accept(store, plan)
            target = (await store.status()).detail
    except MetadataStoreError as error:
        raise RestorationRefusedError(error.detail) from None
    return RestorationReport(plan.cluster_id, target, plan.revision, plan.partition_count)


async def accept(store: MetadataStore, plan: Restoration) -> None:
    """RestorationRefusedError, MetadataStoreError: to be repeated from a new plan."""
    for compares, puts in batches(plan.puts):
        if not (await store.transact(compares, puts)).succeeded:
            raise RestorationRefusedError("somebody else is writing there")
    unchanged, note = plan.note
    if not (await store.transact([unchanged], [note])).succeeded:
        raise RestorationRefusedError("somebody else has accepted a backup there")
