"""A broker's membership in its cluster: lease, registration and admission, for as long as it runs.

Every key that says this broker is there, the controller's included, hangs on one lease. While the
lease is kept alive the broker is a member; once the lease or the registration is gone it is none,
steps down from everything at once, and joins anew under a new incarnation and broker epoch
(`new-registration`). No clock and no lease is trusted for safety: what a broker that has lost its
lease still writes fails by comparison.

What ends in doubt (a lease granted or not, a registration written or not) is settled by ending the
lease: with it goes whatever hung on it, and nothing that is still under way can hang on it later.

In a store that lives and dies with this process there is nothing to keep alive: the broker is a
member from its start on. Counterparts: `broker_admission.py` (the writes), `controller_duties.py`
(who admits and drains), `lease_file.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import Enum

from kbroker.cluster.broker_admission import IsLossy, is_no_partition
from kbroker.cluster.controller import Controller
from kbroker.cluster.elections import plan_drain
from kbroker.cluster.lease_file import LeaseFile
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_image import BrokerImage, MetadataDelta
from kbroker.cluster.metadata_records import (
    AdmissionState,
    BrokerRegistration,
    decode_registration,
    encode_registration,
)
from kbroker.cluster.metadata_store import (
    KeyValue,
    LeaseNotFoundError,
    MetadataStoreError,
    Put,
    created_at,
)
from kbroker.cluster.partition_changes import Members
from kbroker.cluster.store_history import StoreRestoredError
from kbroker.cluster.topic_ids import RandomBits, random_id
from wire.errors import ErrorCode, KafkaError

logger = logging.getLogger(__name__)

RETRY_S = 0.5
"""The most between attempts to reach the store, or to find the former registration gone."""
FORMER_LEASES = 3
"""So many times its own ttl a broker waits for the registration of its id to go: a store that
changes its leader starts the time of all leases over, and may do so again."""


class MembershipState(Enum):
    FRESH = "fresh"
    SUSPECT = "suspect"
    """The store has not answered for half the lease's time. The broker goes on leading, without
    changes of its ISRs: others may have taken its place, and their records will tell it so."""
    LOST = "lost"
    """Not a member, any more or yet."""


async def _never_restored() -> None:
    """The check of a store that nobody could replace."""


class Membership:
    """Mutable. `join` once, then `run` as a task of its own until `leave`.

    `broker_epoch` is 0 while the broker is not registered, `lease` while it has none. The
    callbacks are for the caller to replace; they must neither wait nor raise: `on_lost` (step down
    from everything, fail what waits), `on_joined` with the new broker epoch after a loss,
    `on_refused` with a line for a person when another broker has taken this one's id meanwhile,
    or the store was restored from a backup.
    """

    def __init__(
        self,
        controller: Controller,
        metadata: MetadataCache,
        *,
        is_shared: bool,
        make_registration: Callable[[bytes], BrokerRegistration],
        is_lossy: IsLossy,
        is_missing: IsLossy = is_no_partition,
        lease_file: LeaseFile,
        random: RandomBits,
        ttl_ms: int,
        check_store: Callable[[], Awaitable[None]] = _never_restored,
    ) -> None:
        """`make_registration` is given the incarnation. `is_lossy` is asked before admission, and
        `is_missing`: of which partitions had this broker a log that is gone? `check_store`
        (StoreRestoredError) is asked before each join, and where the store was out of reach.
        """
        self.broker_epoch = 0
        self.lease = 0
        self.on_lost: Callable[[], None] = lambda: None
        self.on_joined: Callable[[int], None] = lambda broker_epoch: None
        self.on_refused: Callable[[str], None] = lambda message: None
        self._controller = controller
        self._store = controller.store
        self._metadata = metadata
        self._is_shared = is_shared
        self._make_registration = make_registration
        self._is_lossy = is_lossy
        self._is_missing = is_missing
        self._lease_file = lease_file
        self._random = random
        self._ttl_ms = ttl_ms
        self._check_store = check_store
        self._node_id = controller.node_id
        self._registration: BrokerRegistration | None = None
        self._loss_is_told = False
        self._was_lost = asyncio.Event()
        self._image_changed = asyncio.Event()
        self._last_answer = 0.0
        self._last_attempt = 0.0
        self._was_suspect = False
        self._was_silent = False
        if is_shared:
            metadata.on_change(self._look)

    @property
    def state(self) -> MembershipState:
        """Computed when it is asked for: a loop that was held up has not seen a timer either."""
        if not self.broker_epoch:
            return MembershipState.LOST
        if not self._is_shared:
            return MembershipState.FRESH
        silent_s = asyncio.get_running_loop().time() - self._last_answer
        return MembershipState.SUSPECT if silent_s > self._ttl_s / 2 else MembershipState.FRESH

    async def join(self) -> int:
        """Become a member; returns the broker epoch once the image shows it admitted.

        A store out of reach is waited for. KafkaError(DUPLICATE_BROKER_REGISTRATION), with a line
        for a person: another broker has this id, or the lease of an earlier life, whose id is not
        in this data directory, does not end. StoreRestoredError.
        """
        if not self._is_shared:
            registration = self._make_registration(random_id(self._random))
            self.broker_epoch = await self._controller.start_broker(
                registration, is_lossy=self._is_lossy
            )
            return self.broker_epoch
        self.lease = self._lease_file.read()
        return await self._join()

    async def run(self) -> None:
        """Keep the lease alive, and join anew after each loss; ends by cancellation, or when
        another broker has taken the id, or the store is not what it was."""
        while self._is_shared:
            try:
                await self._keep_alive_until_lost()
                broker_epoch = await self._join()
            except KafkaError as error:
                self.on_refused(error.detail)
                return
            self.on_joined(broker_epoch)

    def lost(self, why: str) -> None:
        """The registration is gone, or a comparison of it has failed: not a member any more."""
        if not self.broker_epoch:
            return
        logger.warning(
            "broker %d is no member of the cluster any more: %s",
            self._node_id,
            why,
            extra={"node_id": self._node_id, "broker_epoch": self.broker_epoch},
        )
        self.broker_epoch = 0
        self._was_lost.set()
        self._controller.step_down()
        self.on_lost()

    async def drain(self, timeout_s: float) -> bool:
        """Ask to be drained, and wait until nobody relies on this broker who can do without it.

        The wish stands in its own registration, put over itself: its create_revision, the broker
        epoch, stays. False: it took too long, or the store is out of reach.
        """
        registration, broker_epoch = self._registration, self.broker_epoch
        others = any(each != self._node_id for each in self._metadata.image.brokers)
        if not self._is_shared or registration is None or not broker_epoch or not others:
            return True
        key = self._controller.keys.broker(self._node_id)
        value = encode_registration(replace(registration, leaving=True))
        try:
            async with asyncio.timeout(timeout_s):
                asked = await self._store.transact(
                    [created_at(key, broker_epoch)], [Put(key, value, self.lease)]
                )
                while asked.succeeded and self.broker_epoch == broker_epoch:
                    if self._is_drained():
                        return True
                    await self._next_image()
        except (MetadataStoreError, TimeoutError) as error:
            logger.warning(
                "broker %d leaves without being drained: %s", self._node_id, _reason(error)
            )
            return False
        return False

    async def leave(self) -> None:
        """End the lease: the last step of a stop, when all is on disk. `run` has ended before."""
        self.broker_epoch = 0
        if not self.lease:
            return
        try:
            async with asyncio.timeout(self._ttl_s):
                await self._store.lease_revoke(self.lease)
        except (MetadataStoreError, TimeoutError) as error:
            logger.warning(
                "the lease of broker %d ends by itself: %s", self._node_id, _reason(error)
            )
        self.lease = 0

    # Joining

    @property
    def _ttl_s(self) -> float:
        return self._ttl_ms / 1000

    @property
    def _retry_s(self) -> float:
        return min(RETRY_S, self._ttl_s / 12)

    async def _join(self) -> int:
        """As `join`, for every life of the registration."""
        deadline: float | None = None
        waited_for = ""
        while True:
            holder: KeyValue | None = None
            try:
                await self._check_store()
                await self._end_lease()
                holder = await self._store.get(self._controller.keys.broker(self._node_id))
                if holder is None:
                    deadline = None
                    await self._register()
                    if await self._admitted():
                        return self.broker_epoch
                    continue
                what = f"broker {self._node_id} is registered, and its lease has not ended"
            except StoreRestoredError:
                raise
            except KafkaError as error:
                what = error.detail
            now = asyncio.get_running_loop().time()
            if holder is not None:
                deadline = deadline or now + FORMER_LEASES * self._ttl_s
                if now > deadline:
                    raise _duplicate(self._node_id, holder)
            if what != waited_for:
                logger.warning("waiting to join the cluster: %s", what)
                waited_for = what
            await asyncio.sleep(self._retry_s)

    async def _end_lease(self) -> None:
        """Of the life before, or of the attempt before: after it nothing of them is there."""
        if self.lease:
            await self._store.lease_revoke(self.lease)
            self.lease = 0

    async def _register(self) -> None:
        """MetadataStoreError: perhaps it is registered, under `lease`."""
        if not self._loss_is_told:
            # Now that no earlier life is registered, nobody takes it into an ISR: this is all.
            await self._metadata.catch_up()
        granted_at = asyncio.get_running_loop().time()
        self.lease = lease = await self._store.lease_grant(self._ttl_ms)
        # Before anything hangs on it: whatever happens, the next start can end it.
        await self._note_lease(lease)
        registration = self._make_registration(random_id(self._random))
        if not self._loss_is_told:
            registration = self._with_losses(registration)
        broker_epoch = await self._controller.register_broker(registration, lease=lease)
        self._registration = registration
        self._last_answer = self._last_attempt = granted_at
        self._was_suspect = False
        self._was_lost.clear()
        self.broker_epoch = broker_epoch
        self._look(None)

    async def _note_lease(self, lease: int) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._lease_file.write, lease)
        except OSError as error:
            logger.warning("the next start will have to wait for the lease to end: %s", error)

    def _with_losses(self, registration: BrokerRegistration) -> BrokerRegistration:
        """Until an admission has taken note of them, every registration tells of them
        (`lossy-until-admitted`)."""
        topics: list[bytes] = []
        partitions: list[tuple[bytes, tuple[int, ...]]] = []
        missing: list[tuple[bytes, tuple[int, ...]]] = []
        for topic_id, topic in sorted(self._metadata.image.topics.items()):
            own = [
                partition
                for partition, record in topic.partitions.items()
                if self._node_id in record.replicas
            ]
            lossy = tuple(each for each in own if self._is_lossy(topic_id, each))
            if lossy and len(lossy) == len(own):
                topics.append(topic_id)
            elif lossy:
                partitions.append((topic_id, lossy))
            gone = tuple(each for each in own if self._is_missing(topic_id, each))
            if gone:
                missing.append((topic_id, gone))
        return replace(
            registration,
            lossy_topics=tuple(topics),
            lossy_partitions=tuple(partitions),
            missing_partitions=tuple(missing),
        )

    async def _admitted(self) -> bool:
        """Wait for the image to show it, and keep the lease alive meanwhile. False: lost."""
        broker_epoch = self.broker_epoch
        logger.info(
            "broker %d is registered, epoch %d",
            self._node_id,
            broker_epoch,
            extra={"node_id": self._node_id, "broker_epoch": broker_epoch},
        )
        while self.broker_epoch == broker_epoch:
            own = self._own()
            if own is not None and own.is_admitted:
                self._loss_is_told = True
                return True
            await self._next_image(self._next_keep_alive_s())
            if self._next_keep_alive_s() <= 0:
                await self._keep_alive()
        return False

    # Staying

    async def _keep_alive_until_lost(self) -> None:
        while self.broker_epoch:
            try:
                async with asyncio.timeout(max(self._next_keep_alive_s(), 0)):
                    await self._was_lost.wait()
            except TimeoutError:
                await self._keep_alive()

    def _next_keep_alive_s(self) -> float:
        """How long until the next one is due."""
        now = asyncio.get_running_loop().time()
        return max(self._last_answer + self._ttl_s / 3, self._last_attempt + self._retry_s) - now

    async def _keep_alive(self) -> None:
        """A lease that is gone is a loss; a failure to ask is none."""
        lease, broker_epoch = self.lease, self.broker_epoch
        sent_at = self._last_attempt = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._ttl_s / 3):
                left_ms = await self._store.lease_keep_alive(lease)
        except LeaseNotFoundError:
            left_ms = 0
        except (MetadataStoreError, TimeoutError) as error:
            self._was_silent = True
            if self.state is MembershipState.SUSPECT and not self._was_suspect:
                self._was_suspect = True
                logger.warning("the lease cannot be kept alive: %s", _reason(error))
            return
        if self.broker_epoch != broker_epoch:
            return  # lost meanwhile
        if left_ms <= 0:
            self.lost("its lease has ended")
            return
        if self._was_silent and not await self._is_store_the_same():
            return
        self._last_answer = sent_at
        if self._was_suspect:
            self._was_suspect = False
            logger.info("the lease is kept alive again")

    async def _is_store_the_same(self) -> bool:
        """Asked once it is there again: a lease may be in a backup, too. StoreRestoredError; then
        this broker leads nothing any more."""
        try:
            async with asyncio.timeout(self._ttl_s / 3):
                await self._check_store()
        except StoreRestoredError:
            self.lost("the metadata store was restored from a backup")
            raise
        except (MetadataStoreError, TimeoutError):
            return False
        self._was_silent = False
        return True

    # The image

    def _own(self) -> BrokerImage | None:
        """This life of the broker, as the image has it."""
        broker = self._metadata.image.brokers.get(self._node_id)
        return broker if broker and broker.broker_epoch == self.broker_epoch else None

    def _look(self, delta: MetadataDelta | None) -> None:
        """The image has changed. One older than the registration says nothing of it."""
        self._image_changed.set()
        registered = 0 < self.broker_epoch <= self._metadata.image.revision
        if registered and self._own() is None:
            self.lost("its registration is gone")

    async def _next_image(self, timeout_s: float | None = None) -> None:
        """Return when the image has changed, or some time has passed."""
        self._image_changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._image_changed.wait()

    def _is_drained(self) -> bool:
        """Whether the controller has heard the wish, and nothing is left that it could do."""
        own, image = self._own(), self._metadata.image
        if own is None or own.admission is None:
            return False
        members = Members(image)
        return own.admission.state is AdmissionState.DRAINING and not any(
            plan_drain(record, self._node_id, is_staying=members.is_staying)
            for topic in image.topics.values()
            for record in topic.partitions.values()
        )


def _reason(error: MetadataStoreError | TimeoutError) -> str:
    """A timeout has no words of its own."""
    return error.detail if isinstance(error, MetadataStoreError) else "it took too long"


def _duplicate(node_id: int, holder: KeyValue) -> KafkaError:
    listeners = decode_registration(holder.value).listeners
    at = f" at {listeners[0].host}:{listeners[0].port}" if listeners else ""
    return KafkaError(
        ErrorCode.DUPLICATE_BROKER_REGISTRATION, f"another broker runs with node.id {node_id}{at}"
    )
