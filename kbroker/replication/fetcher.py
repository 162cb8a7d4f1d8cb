"""Fetches from one leader what this broker follows there: one Fetch at a time, for all partitions.

An answer is appended in order, its appends become durable together, and the next Fetch asks from
there: a fetch offset is a durable end (rule durable-end-as-fetch-offset). Where the logs part, the
leader says so by its epochs (KIP-595). Counterparts: `fetcher_session` (what is asked),
`following` (what an answer does to a log), `replica_reading` (the leader's side).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from kbroker.broker_client import BrokerClient, ConnectionGoneError
from kbroker.broker_clients import BrokerClients
from kbroker.config.broker_config import BrokerConfig
from kbroker.dependencies import WallClock
from kbroker.replication.fetcher_session import (
    FetcherSession,
    FetchPosition,
    PartitionKey,
    fetch_request,
)
from kbroker.replication.partition import Partition
from wire.errors import ErrorCode, KafkaError
from wire.messages.fetch import FetchResponse, PartitionData
from wire.records.file_slice import FileSlice

logger = logging.getLogger(__name__)

FETCH_VERSION = 18

LEAST_REST_S = 0.02
"""After a first failure; each that follows doubles it, up to `replica.fetch.backoff.ms`."""

FLUSH_PATIENCE_S = 1.0
"""How long all partitions of a leader wait for the slowest flush; then they go on without it."""

INTERRUPTION_S = 0.02
"""A Fetch that waits at the leader is given up so long after there is something new to ask for."""

SLICE_BYTES = 512 * 1024
"""Appended in one turn of the loop, about a millisecond's work; then others have theirs."""

PARTITION_COST_BYTES = 8 * 1024
"""What the answer of one partition costs however little is in it, counted in bytes appended."""

EMPTY = memoryview(b"")


class Followed:
    """One partition of a fetcher, in one leader epoch. Mutable."""

    __slots__ = ("failures", "key", "leader_epoch", "leader_high_watermark", "partition", "rest")

    def __init__(self, key: PartitionKey, partition: Partition) -> None:
        self.key = key
        self.partition = partition
        self.leader_epoch = partition.leader_epoch
        self.leader_high_watermark = -1  # as it was told in this epoch
        self.failures = 0
        self.rest: asyncio.TimerHandle | None = None


class Fetcher:
    """What is fetched from one leader. Mutable; `run` is its task.

    A partition is in the session (it is fetched), in `_flushing`, resting, or stopped by its disk.
    """

    def __init__(
        self,
        leader_id: int,
        *,
        node_id: int,
        clients: BrokerClients,
        config: Callable[[], BrokerConfig],
        clock: WallClock,
        broker_epoch: Callable[[], int | None],
        storage_failed: Callable[[OSError], None],
    ) -> None:
        self.leader_id = leader_id
        self._node_id = node_id
        self._clients = clients
        self._config = config
        self._clock = clock
        self._broker_epoch = broker_epoch
        self._storage_failed = storage_failed
        self._loop = asyncio.get_running_loop()
        self._session = FetcherSession()
        self._followed: dict[PartitionKey, Followed] = {}
        self._flushing: dict[Followed, None] = {}
        self._waiting: asyncio.Future[None] | None = None
        self._failures = 0  # of whole requests, in a row
        self._in_flight: BrokerClient | None = None
        self._interruption: asyncio.TimerHandle | None = None
        self._interrupted = False

    def __len__(self) -> int:
        return len(self._followed)

    def follow(self, key: PartitionKey, partition: Partition) -> None:
        """Fetch it in the leader epoch that it is in now; one that rests is tried again."""
        followed = self._followed.get(key)
        if (
            followed is None
            or followed.partition is not partition
            or followed.leader_epoch != partition.leader_epoch
        ):
            self.remove(key)
            followed = self._followed[key] = Followed(key, partition)
            self._go_on(followed)
        elif followed.rest is not None:
            self._end_rest(followed)

    def remove(self, key: PartitionKey) -> None:
        """Fetch it no longer; what is answered of it is ignored. Harmless where it is not."""
        followed = self._followed.pop(key, None)
        if followed is not None:
            self._session.remove(key)
            self._flushing.pop(followed, None)
            if followed.rest is not None:
                followed.rest.cancel()
            self._wake()

    async def run(self) -> None:
        """Fetch for ever."""
        while True:
            await self._until_ready()
            self._interrupted = False
            try:
                response = await self._fetch()
            except ConnectionGoneError as error:
                self._session.lost()
                if not self._interrupted:
                    await self._rest_after(f"the connection is gone: {error}")
                continue
            if self._session.answered(response.error_code, response.session_id):
                self._failures = 0
                await self._take(response)
            else:
                await self._rest_after(f"error {response.error_code}")

    # Asking.

    async def _until_ready(self) -> None:
        """Wait until there is something to fetch, and what was appended is durable."""
        patience = self._loop.time() + FLUSH_PATIENCE_S
        while True:
            is_patient = bool(self._flushing) and self._loop.time() < patience
            if len(self._session) and not is_patient:
                return
            waiting = self._waiting = self._loop.create_future()
            timer = self._loop.call_at(patience, self._wake) if is_patient else None
            try:
                await waiting
            finally:
                self._waiting = None
                if timer is not None:
                    timer.cancel()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _fetch(self) -> FetchResponse:
        broker_epoch = self._broker_epoch()
        if broker_epoch is None:
            raise ConnectionGoneError("this broker is not a member of the cluster")
        client = await self._clients.client(self.leader_id)
        config = self._config()
        request = fetch_request(
            self._session.next_request(),
            replica_id=self._node_id,
            broker_epoch=broker_epoch,
            max_wait_ms=config.replica_fetch_wait_max_ms,
            min_bytes=config.replica_fetch_min_bytes,
            max_bytes=config.replica_fetch_response_max_bytes,
            partition_max_bytes=config.replica_fetch_max_bytes,
        )
        timeout_s = (config.request_timeout_ms + config.replica_fetch_wait_max_ms) / 1000
        self._in_flight = client
        try:
            return await client.send(request, FETCH_VERSION, FetchResponse, timeout_s=timeout_s)
        except asyncio.CancelledError:
            client.close()  # nobody is to wait behind what is parked at the leader
            raise
        finally:
            self._in_flight = None
            if self._interruption is not None:
                self._interruption.cancel()
                self._interruption = None

    def _interrupt_soon(self) -> None:
        """There is something to ask for while a Fetch may wait at the leader for half a second, or
        as long as is configured: another leader's partitions, after it failed, must not."""
        if self._in_flight is not None and self._interruption is None:
            self._interruption = self._loop.call_later(INTERRUPTION_S, self._interrupt)

    def _interrupt(self) -> None:
        self._interruption = None
        if self._in_flight is not None and not self._in_flight.is_receiving:
            self._interrupted = True
            self._in_flight.close()

    async def _rest_after(self, reason: str) -> None:
        """The whole request failed."""
        self._failures += 1
        if self._failures == 1:
            logger.info("fetching from broker %d stops: %s", self.leader_id, reason)
        await asyncio.sleep(self._rest_s(self._failures))

    def _rest_s(self, failures: int) -> float:
        most = self._config().replica_fetch_backoff_ms / 1000
        return min(most, LEAST_REST_S * float(1 << min(failures - 1, 20)))

    # Answers.

    async def _take(self, response: FetchResponse) -> None:
        """Append what came. Others have their turn in between: whatever they change counts."""
        work = 0
        for topic in response.responses:
            for data in topic.partitions:
                key = (topic.topic_id, data.partition_index)
                position = self._session.position_of(key)
                if position is None:
                    continue  # it has left, or follows another epoch now (KAFKA-7786, 13207)
                self._take_partition(self._followed[key], position, data)
                work += PARTITION_COST_BYTES + len(data.records or EMPTY)
                if work >= SLICE_BYTES:
                    work = 0
                    await asyncio.sleep(0)

    def _take_partition(
        self, followed: Followed, position: FetchPosition, data: PartitionData
    ) -> None:
        try:
            if data.error_code == ErrorCode.NONE:
                self._take_data(followed, position, data)
            elif data.error_code == ErrorCode.OFFSET_OUT_OF_RANGE:
                self._start_over(followed, position, data.log_start_offset)
            else:
                self._rest(followed, f"the leader answers {_name(data.error_code)}")
        except KafkaError as error:
            self._rest(followed, f"{error.code.name} {error.detail or ''}")
        except OSError as error:
            self._storage_failed(error)
            if followed.partition.log.failed is None:
                self._rest(followed, f"the disk refused: {error}")
            else:
                self._stop(followed)

    def _take_data(self, followed: Followed, position: FetchPosition, data: PartitionData) -> None:
        partition = followed.partition
        following = partition.followed_in(followed.leader_epoch)
        diverging = data.diverging_epoch
        if diverging is not None:
            following.truncate_to_divergence(diverging.epoch, diverging.end_offset)
            if self._position(followed) == position:
                self._rest(followed, "its log parts from the leader's, nobody knows where")
            else:
                self._go_on(followed)
            return
        records = data.records
        assert not isinstance(records, FileSlice), "an answer that was received is in memory"
        following.append(
            memoryview(records or EMPTY),
            leader_high_watermark=data.high_watermark,
            leader_log_start=data.log_start_offset,
            now_ms=self._clock.now_ms(),
        )
        followed.leader_high_watermark = data.high_watermark
        if records and partition.log.log_end_offset == position.fetch_offset:
            self._rest(followed, "no batch is whole in the leader's answer")
            return
        followed.failures = 0
        if (
            records
            or partition.log.log_start_offset != position.log_start_offset
            # In a session the leader knows what it has told.
            or not self._session.is_kept
        ):
            self._go_on(followed)

    def _start_over(
        self, followed: Followed, position: FetchPosition, leader_log_start: int
    ) -> None:
        """The leader does not have the fetch offset. What is past its end it tells by epochs."""
        following = followed.partition.followed_in(followed.leader_epoch)
        is_below = position.fetch_offset < leader_log_start
        is_unknown = position.last_fetched_epoch < 0 and position.fetch_offset != leader_log_start
        if leader_log_start >= 0 and (is_below or is_unknown):
            following.truncate_fully_and_start_at(leader_log_start)
            self._go_on(followed)
        else:
            self._rest(followed, f"the leader does not have offset {position.fetch_offset}")

    # One partition's states.

    def _go_on(self, followed: Followed) -> None:
        """Fetch from the log's end, once that is durable."""
        partition = followed.partition
        self._session.remove(followed.key)
        self._flushing[followed] = None

        def durable(code: ErrorCode) -> None:
            if self._flushing.pop(followed, self) is self:
                return  # it has left, or goes another way
            if code == ErrorCode.NONE:
                self._put(followed)
            elif code == ErrorCode.KAFKA_STORAGE_ERROR:
                self._stop(followed)
            else:
                self._rest(followed, "its log has changed")
            if not self._flushing:
                self._wake()

        partition.when_durable(partition.log.log_end_offset, durable)

    def _put(self, followed: Followed) -> None:
        try:
            position = self._position(followed)
        except KafkaError:
            self._rest(followed, "it is not followed in this epoch")
            return
        self._session.put(followed.key, position)
        self._interrupt_soon()
        self._wake()

    def _position(self, followed: Followed) -> FetchPosition:
        partition = followed.partition
        following = partition.followed_in(followed.leader_epoch)
        return FetchPosition(
            fetch_offset=partition.log.log_end_offset,
            leader_epoch=followed.leader_epoch,
            last_fetched_epoch=following.last_fetched_epoch,
            log_start_offset=partition.log.log_start_offset,
            high_watermark=followed.leader_high_watermark,
        )

    def _rest(self, followed: Followed, reason: str) -> None:
        """Leave it for a while, or until the metadata have news of it."""
        self._session.remove(followed.key)
        followed.failures += 1
        partition = followed.partition
        if followed.failures == 1:
            logger.info(
                "%s is not fetched from broker %d in epoch %d: %s",
                partition.log.name,
                self.leader_id,
                followed.leader_epoch,
                reason,
                extra={"topic": partition.topic, "partition": partition.index},
            )
        if followed.rest is not None:
            followed.rest.cancel()
        delay_s = self._rest_s(followed.failures)
        followed.rest = self._loop.call_later(delay_s, self._end_rest, followed)

    def _end_rest(self, followed: Followed) -> None:
        if followed.rest is not None:
            followed.rest.cancel()
            followed.rest = None
        if self._followed.get(followed.key) is followed:
            self._go_on(followed)

    def _stop(self, followed: Followed) -> None:
        """Its disk has failed: nothing is fetched before it is opened again."""
        self._session.remove(followed.key)
        logger.error(
            "%s is not fetched any more: its disk failed",
            followed.partition.log.name,
            extra={"topic": followed.partition.topic, "partition": followed.partition.index},
        )


def _name(error_code: int) -> str:
    try:
        return ErrorCode(error_code).name
    except ValueError:
        return str(error_code)
