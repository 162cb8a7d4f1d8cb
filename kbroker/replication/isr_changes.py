"""Sends what leaders propose for their in-sync replicas to the metadata store, one by one.

One transaction for each change (KIP-497, 841, 903 in one round trip): the partition's record must
be the one that the leader leads by, this broker the one that it was registered as, and whoever
joins the very incarnation that fetched, admitted and not on its way out. Counterpart: `isr`, which
decides what is proposed and what an outcome means.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_records import (
    BrokerAdmission,
    PartitionRecord,
    decode_partition,
    encode_admission,
    encode_partition,
)
from kbroker.cluster.metadata_store import (
    Compare,
    CompareOperator,
    CompareTarget,
    Get,
    KeyValue,
    MetadataStore,
    MetadataStoreError,
    OutcomeUnknownError,
    Put,
    TransactionResult,
    created_at,
    modified_at,
)
from kbroker.replication.isr import IsrProposal
from kbroker.replication.partition import Partition

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 32
"""Partitions whose changes are under way at a time; the others wait their turn."""
FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 2.0
"""After what did not work, before it is looked at again; doubled each time."""
LOOKED_AT_TOGETHER = 200
"""Partitions in one turn of the loop."""


class IsrChanges:
    """Mutable: the partitions for which something is under way, or waits."""

    def __init__(
        self,
        store: MetadataStore,
        keys: Keys,
        *,
        node_id: int,
        broker_epoch: Callable[[], int | None],
        active: Callable[[], Mapping[int, int]],
        partitions: Callable[[], Iterable[Partition]],
        spawn: Callable[[Coroutine[None, None, None], str], object],
        now: Callable[[], float],
        lag_max_ms: Callable[[], int],
    ) -> None:
        """`broker_epoch` is this broker's own, None while it is no member; `active` has those of
        all brokers that are admitted and do not shut down; `now` is the loop's time."""
        self._store = store
        self._keys = keys
        self._node_id = node_id
        self._broker_epoch = broker_epoch
        self._active = active
        self._partitions = partitions
        self._spawn = spawn
        self._now = now
        self._lag_max_ms = lag_max_ms
        # The value: whether there was news since it was looked at last.
        self._under_way: dict[Partition, bool] = {}
        self._waiting: deque[tuple[Partition, IsrProposal]] = deque()

    def note(self, partition: Partition) -> None:
        """There may be something to propose for this partition."""
        if partition in self._under_way:
            self._under_way[partition] = True
            return
        proposal = self._propose(partition)
        if proposal is None:
            return
        self._under_way[partition] = False
        if len(self._under_way) - len(self._waiting) > MAX_IN_FLIGHT:
            self._waiting.append((partition, proposal))
        else:
            self._start(partition, proposal)

    def brokers_changed(self) -> None:
        """Some came or went: who has gone is not waited for until its lag shows."""
        for partition in self._partitions():
            in_sync = partition.in_sync
            if in_sync is not None and in_sync.is_anybody_awaited:
                self.note(partition)

    async def look_for_lag(self) -> None:
        """Look at all partitions: members that lag, followers that caught up."""
        for index, partition in enumerate(list(self._partitions())):
            if partition.in_sync is not None:
                self.note(partition)
            if index % LOOKED_AT_TOGETHER == LOOKED_AT_TOGETHER - 1:
                await asyncio.sleep(0)

    def _propose(self, partition: Partition) -> IsrProposal | None:
        if self._broker_epoch() is None:
            return None
        return partition.propose_isr(
            self._now(), lag_max_s=self._lag_max_ms() / 1000, active=self._active()
        )

    def _start(self, partition: Partition, proposal: IsrProposal) -> None:
        self._spawn(self._change(partition, proposal), f"in-sync replicas of {partition.log.name}")

    async def _change(self, partition: Partition, proposal: IsrProposal) -> None:
        """Send it, and whatever there is to propose for the partition behind it."""
        try:
            backoff_s = FIRST_BACKOFF_S
            following: IsrProposal | None = proposal
            while following is not None:
                self._under_way[partition] = False
                if await self._send(partition, following):
                    backoff_s = FIRST_BACKOFF_S
                else:
                    await asyncio.sleep(backoff_s)
                    backoff_s = min(2 * backoff_s, LAST_BACKOFF_S)
                    await self._read_again(partition)
                following = self._propose(partition)
        except asyncio.CancelledError:
            self._waiting.clear()  # the broker stops
            raise
        finally:
            has_news = self._under_way.pop(partition)
            self._start_waiting()
        if has_news:
            self.note(partition)

    def _start_waiting(self) -> None:
        if self._waiting:
            self._start(*self._waiting.popleft())

    async def _send(self, partition: Partition, proposal: IsrProposal) -> bool:
        """Whether the partition's record is a newer one now, ours or somebody else's."""
        key = self._keys.partition(partition.log.topic_id, partition.index)
        broker_epoch = self._broker_epoch()
        if broker_epoch is None:
            _refuse(partition, proposal)
            return False
        try:
            result = await self._store.transact(
                [
                    modified_at(key, proposal.seen.mod_revision),
                    created_at(self._keys.broker(self._node_id), broker_epoch),
                    *self._of_joining(proposal),
                ],
                [Put(key, encode_partition(proposal.record))],
                [Get(key)],
            )
        except OutcomeUnknownError as error:
            if partition.in_sync is not None:
                partition.in_sync.unknown(proposal)
            self._tell_failure(partition, proposal, error)
            return False
        except MetadataStoreError as error:
            _refuse(partition, proposal)  # nothing was changed
            self._tell_failure(partition, proposal, error)
            return False
        return self._take(partition, proposal, result)

    def _of_joining(self, proposal: IsrProposal) -> list[Compare]:
        """Rule broker-epoch-compared."""
        compares = []
        for broker_id, broker_epoch in proposal.joining:
            admitted = encode_admission(BrokerAdmission(broker_epoch))
            key = self._keys.admission(broker_id)
            compares += [
                created_at(self._keys.broker(broker_id), broker_epoch),
                Compare(key, CompareTarget.VALUE, CompareOperator.EQUAL, admitted),
            ]
        return compares

    def _take(self, partition: Partition, proposal: IsrProposal, result: TransactionResult) -> bool:
        if not result.succeeded:
            # Adopt what there is, never send the stale change again (KAFKA-2729).
            _refuse(partition, proposal)
            return self._adopt(partition, result.values[0])
        record = replace(proposal.record, mod_revision=result.revision)
        partition.apply(record)
        self._tell_change(partition, proposal.seen, record)
        return True

    async def _read_again(self, partition: Partition) -> None:
        """What is stored now. The same partition epoch as before settles nothing."""
        key = self._keys.partition(partition.log.topic_id, partition.index)
        try:
            self._adopt(partition, await self._store.get(key))
        except MetadataStoreError as error:
            logger.debug("%s cannot be read again: %s", partition.log.name, error.detail)

    def _adopt(self, partition: Partition, stored: KeyValue | None) -> bool:
        """Whether it is a newer record. None: the topic was deleted, which others see to."""
        if stored is None:
            return False
        former = partition.record
        partition.apply(decode_partition(stored.value, stored.mod_revision))
        return partition.record is not former

    def _tell_change(
        self, partition: Partition, former: PartitionRecord, record: PartitionRecord
    ) -> None:
        if record.isr == former.isr:
            return
        left = [each for each in former.isr if each not in record.isr]
        logger.info(
            "%s: broker %s %s in epoch %d; in sync are %s",
            partition.log.name,
            ", ".join(map(str, left or [each for each in record.isr if each not in former.isr])),
            "lags and is not in sync any more" if left else "has caught up",
            record.leader_epoch,
            list(record.isr),
            extra={"topic": partition.topic, "partition": partition.index},
        )

    def _tell_failure(
        self, partition: Partition, proposal: IsrProposal, error: MetadataStoreError
    ) -> None:
        logger.warning(
            "%s: in-sync replicas %s instead of %s could not be stored: %s",
            partition.log.name,
            list(proposal.record.isr),
            list(proposal.seen.isr),
            error.detail,
            extra={"topic": partition.topic, "partition": partition.index},
        )


def _refuse(partition: Partition, proposal: IsrProposal) -> None:
    """It took no effect and never will: who would have joined is not waited for any more."""
    if partition.in_sync is not None:
        partition.in_sync.refused(proposal)
        partition.advance_high_watermark()
