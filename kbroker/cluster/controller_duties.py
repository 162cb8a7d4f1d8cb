"""What a broker does for the cluster while it holds the office of controller.

It goes by its metadata image, and acts only on one that is at least as new as its own term: behind
it, who seems to be gone may long be back. Every write compares what it was planned by
(`partition_changes.py`), so a plan that was overtaken changes nothing and is made again.

Each change of the image wakes it; a change of a few partitions has it look at these, a change of
the brokers at all. One partition takes one step at a time (`elections.py`), and the next one when
the image shows the last. Counterparts: `broker_admission.py`, `membership.py` (the broker's side).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable

from kbroker.cluster.broker_admission import admit_seen
from kbroker.cluster.controller import Controller
from kbroker.cluster.elections import (
    Election,
    plan_departure,
    plan_drain,
    plan_election,
    plan_preferred,
)
from kbroker.cluster.membership import Membership, MembershipState
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_image import MetadataDelta, TopicImage
from kbroker.cluster.metadata_records import (
    NO_LEADER,
    AdmissionState,
    BrokerAdmission,
    PartitionRecord,
    encode_admission,
)
from kbroker.cluster.metadata_store import (
    CompactedError,
    MetadataStoreError,
    Put,
    created_at,
    modified_at,
)
from kbroker.cluster.partition_changes import (
    Members,
    PartitionChange,
    change_of,
    each_partition,
    write_changes,
)
from kbroker.cluster.reassignments import plan_completion
from kbroker.cluster.topic_changes import forget_unregistered
from wire.errors import KafkaError

logger = logging.getLogger(__name__)

TICK_S = 10.0
"""Everything is looked at so often although nothing seems to have changed."""
RETRY_S = 0.5
"""After the store could not be reached."""
COMPACTION_INTERVAL_S = 300.0
KEPT_REVISIONS = 10_000
"""Left uncompacted: who watches from further behind reads everything anew."""


class ControllerDuties:
    """Mutable. `run` it as a task of its own, from before the first broker joins."""

    def __init__(
        self,
        controller: Controller,
        metadata: MetadataCache,
        membership: Membership,
        *,
        is_unclean_enabled: Callable[[TopicImage], bool],
        rebalance_interval_s: Callable[[], float],
    ) -> None:
        """`is_unclean_enabled`: unclean.leader.election.enable, as it holds for the topic.

        `rebalance_interval_s`: how often preferred replicas get their partitions back; not
        positive: never.
        """
        self._controller = controller
        self._metadata = metadata
        self._membership = membership
        self._is_unclean_enabled = is_unclean_enabled
        self._rebalance_interval_s = rebalance_interval_s
        self._wakened = asyncio.Event()
        # What the image must show before the next step: the last change that was made here.
        self._written = 0
        self._look_at_all = True
        self._to_look_at: dict[tuple[bytes, int], None] = {}
        self._rebalanced_at = 0.0
        self._compacted_at = 0.0
        metadata.on_change(self._noticed)

    async def run(self) -> None:
        """For ever; ends by cancellation."""
        while True:
            try:
                await self._work()
            except MetadataStoreError as error:
                logger.warning("the controller waits for the metadata store: %s", error.detail)
                self._look_at_all = True
                await asyncio.sleep(RETRY_S)
                continue
            except KafkaError as error:
                # The office was lost, or somebody is always faster: see how things stand.
                logger.info("the controller starts over: %s", error)
                self._look_at_all = True
                await asyncio.sleep(RETRY_S)
                continue
            await self._pause(TICK_S)

    def _noticed(self, delta: MetadataDelta) -> None:
        if not self._controller.epoch or delta.changed_brokers or delta.controller_changed:
            self._look_at_all = True
        elif delta.changed_topic_configs or delta.changed_broker_configs:
            self._look_at_all = True  # who may be elected may have changed with them
        if not self._look_at_all:
            self._to_look_at.update(dict.fromkeys(delta.changed_partitions))
            for topic in delta.created_topics:
                of_topic = [(topic.topic_id, each) for each in topic.partitions]
                self._to_look_at.update(dict.fromkeys(of_topic))
        self._wakened.set()

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._wakened.wait()
        except TimeoutError:
            self._look_at_all = True
        self._wakened.clear()

    async def _work(self) -> None:
        """One step after the other, each on an image that shows what the one before has written."""
        if not await self._is_in_office():
            return
        for step in (self._admit, self._heed_wishes, self._repair, self._rebalance, self._tidy):
            await step()
            if self._is_behind():
                return  # what it waits for wakes it

    def _is_behind(self) -> bool:
        return self._metadata.image.revision < max(self._written, self._controller.epoch)

    async def _is_in_office(self) -> bool:
        """Whether to act now as the controller; campaigns if nobody is it."""
        controller, image = self._controller, self._metadata.image
        shown = image.controller_id, image.controller_epoch
        ours = controller.node_id, controller.epoch
        if 0 < controller.epoch <= image.revision and shown != ours:
            controller.step_down()
        if not controller.epoch:
            if self._membership.state is MembershipState.LOST:
                return False
            if image.controller_id not in (None, controller.node_id):
                return False
            if not await controller.become_controller(lease=self._membership.lease):
                return False
            now = asyncio.get_running_loop().time()
            self._rebalanced_at = self._compacted_at = now
            self._look_at_all = True
        return not self._is_behind()

    async def _admit(self) -> None:
        image = self._metadata.image
        for broker_id in sorted(image.brokers):
            broker = image.brokers.get(broker_id)
            if broker is None or broker.is_admitted:
                continue
            admission = await admit_seen(self._controller.term, image, broker_id)
            self._written = max(self._written, admission.revision)
            logger.info(
                "broker %d is admitted" if admission.revision else "broker %d is not admitted yet",
                broker_id,
                extra={"broker_id": broker_id, "broker_epoch": broker.broker_epoch},
            )

    async def _heed_wishes(self) -> None:
        """Who wants to leave gets no leaders and joins no ISR from here on."""
        term, image = self._controller.term, self._metadata.image
        for broker_id in sorted(image.brokers):
            broker = image.brokers.get(broker_id)
            if broker is None or not (broker.registration.leaving and broker.is_active):
                continue
            draining = BrokerAdmission(broker.broker_epoch, AdmissionState.DRAINING)
            key = term.keys.admission(broker_id)
            result = await term.transact(
                [
                    created_at(term.keys.broker(broker_id), broker.broker_epoch),
                    modified_at(key, broker.admission_revision),
                ],
                [Put(key, encode_admission(draining))],
            )
            if result.succeeded:
                self._written = max(self._written, result.revision)
                logger.info("broker %d is drained", broker_id, extra={"broker_id": broker_id})

    async def _repair(self) -> None:
        """Departures, elections, drains, reassignments that are done; what a new default of
        min.insync.replicas reaches."""
        image = self._metadata.image
        if self._look_at_all:
            self._look_at_all = False
            self._to_look_at.clear()
            await self._controller.spread_min_isr(image)
            partitions = each_partition(image)
        else:
            partitions, self._to_look_at = self._those(list(self._to_look_at)), {}
        members = Members(image)
        changes = []
        async for topic, partition, record in partitions:
            found = self._plan(topic, partition, record, members)
            if found is not None:
                election, about = found
                changes.append(change_of(topic, partition, election, members, about))
        await self._write(changes)

    async def _those(
        self, partitions: Iterable[tuple[bytes, int]]
    ) -> AsyncIterator[tuple[TopicImage, int, PartitionRecord]]:
        """What the image holds of them."""
        topics = self._metadata.image.topics
        for topic_id, partition in partitions:
            topic = topics.get(topic_id)
            if topic is not None and partition in topic.partitions:
                yield topic, partition, topic.partitions[partition]

    def _plan(
        self, topic: TopicImage, partition: int, record: PartitionRecord, members: Members
    ) -> tuple[Election, tuple[int, ...]] | None:
        """The partition's next step, and the broker that it is about, if it is about one."""
        # The leader before the others: then the partition is served again.
        for broker_id in (record.leader, *record.isr):
            if broker_id != NO_LEADER and members.is_gone(broker_id):
                departure = plan_departure(
                    record,
                    broker_id,
                    is_live=members.is_live,
                    is_leaving=members.is_leaving,
                )
                assert departure is not None
                return departure, (broker_id,)
        if record.leader == NO_LEADER:
            election = plan_election(
                record,
                is_live=members.is_live,
                is_leaving=members.is_leaving,
                is_unclean=self._is_unclean_enabled(topic),
                lacks_log=members.lacking_log(topic.topic_id, partition),
            )
            return None if election is None else (election, ())
        for broker_id in members.leaving():
            drained = plan_drain(record, broker_id, is_staying=members.is_staying)
            if drained is not None:
                return Election(drained), (broker_id,)
        completed = plan_completion(record, is_live=members.is_live, is_leaving=members.is_leaving)
        return None if completed is None else (completed, ())

    async def _rebalance(self) -> None:
        now, interval_s = asyncio.get_running_loop().time(), self._rebalance_interval_s()
        if interval_s <= 0 or now < self._rebalanced_at + interval_s:
            return
        self._rebalanced_at = now
        image = self._metadata.image
        members = Members(image)
        changes = []
        async for topic, partition, record in each_partition(image):
            preferred = plan_preferred(record, is_staying=members.is_staying)
            if preferred is not None:
                changes.append(change_of(topic, partition, Election(preferred), members, ()))
        await self._write(changes)

    async def _write(self, changes: list[PartitionChange]) -> None:
        if not changes:
            return
        written = await write_changes(self._controller.term, changes)
        self._written = max(self._written, written.revision)
        logger.info(
            "the controller has changed %d partitions, %d had changed meanwhile",
            len(written.applied),
            len(written.refused),
        )

    async def _tidy(self) -> None:
        """Deletions that nobody is left to confirm; what nobody needs of the store's history."""
        image, term = self._metadata.image, self._controller.term
        for topic_id, deleted in sorted(image.deleted_topics.items()):
            if not all(map(image.is_known, deleted.replicas)):
                await forget_unregistered(term, topic_id, image.is_known)
        now = asyncio.get_running_loop().time()
        if now < self._compacted_at + COMPACTION_INTERVAL_S:
            return
        self._compacted_at = now
        if image.revision > KEPT_REVISIONS:
            with contextlib.suppress(CompactedError):  # by somebody else
                await self._controller.store.compact(image.revision - KEPT_REVISIONS)
