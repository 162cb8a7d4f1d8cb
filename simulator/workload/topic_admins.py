"""Topics that come, grow, change their settings and go again, under one name.

What was acknowledged is so from then on, through every fault; what was not is done or not done. One
admin owns its topic's name, so it knows which of the two can be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from simulator.client import ConnectionGoneError
from simulator.invariant_error import InvariantError
from simulator.workload.caller import RETRIABLE, Caller, must_be
from simulator.workload.requests import (
    CREATE_VERSION,
    EARLIEST,
    FETCH_VERSION,
    LIST_VERSION,
    PRODUCE_VERSION,
    create_request,
    fetch_request,
    list_request,
    make_batch,
    produce_request,
    values_in,
)
from simulator.workload.sending import Source
from wire.errors import ErrorCode
from wire.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from wire.messages.create_topics import CreateTopicsResponse
from wire.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from wire.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from wire.messages.fetch import FetchResponse
from wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from wire.messages.list_offsets import ListOffsetsResponse
from wire.messages.produce import ProduceResponse
from wire.schema import NIL_UUID

if TYPE_CHECKING:
    from simulator.world import World

TOPIC_RESOURCE = 2
SET = 0
MOST_PARTITIONS = 4
VALUES = {
    "retention.ms": ("-1", "86400000", "3600000"),
    "segment.ms": ("1000", "60000"),
    "flush.messages": ("1", "9"),
    "max.message.bytes": ("1000000", "2000000"),
}
UNFINISHED = (*RETRIABLE, ErrorCode.OPERATION_NOT_ATTEMPTED)


class TopicAdmin:
    """Mutable. `_counts` and each of `_settings` are what may be: one value is known, two where an
    answer is missing. A count of 0: there is no such topic."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._topic = f"of-{name}"
        self._world = world
        self._chance = world.chance(name)
        self._caller = Caller(world, name, self._chance)
        self._source = Source(world, name, self._chance)
        self._counts = {0}
        self._settings: dict[str, set[str | None]] = {}
        self._kept: dict[int, tuple[int, bytes]] = {}
        """Partition -> offset and value of a record that no power loss may take."""
        self._doubtful_life = 0
        """The last life in which the outcome of something is unknown."""

    async def prepare(self) -> None:
        pass

    async def work(self) -> None:
        steps: list[Callable[[], Awaitable[None]]] = [
            self._create,
            self._create,
            self._create,
            self._delete,
            self._delete,
            self._grow,
            self._alter,
            self._alter,
            self._use,
            self._use,
        ]
        while True:
            was_finishing = self._world.finishing
            try:
                await self._chance.choice(steps)()
                known = await self._look()
            except ConnectionGoneError:
                self._doubtful_life = self._world.machine.lives
                await self._caller.pause()
                continue
            if was_finishing and known:
                break
            await self._source.rest()
        self._caller.hang_up()

    async def check(self) -> None:
        while True:
            try:
                if await self._look():
                    break
            except ConnectionGoneError:
                await self._caller.pause()
        self._caller.hang_up()

    # Each step says what may be before it asks, and what is once it was answered.

    async def _create(self) -> None:
        count = self._chance.randint(1, 2)
        before, existed = set(self._counts), 0 not in self._counts
        if not existed:
            self._counts.add(count)
            self._settings = {key: {None} for key in VALUES}
        request = create_request(self._topic, partitions=count, settings={})
        answer = await self._caller.ask(request, CREATE_VERSION, CreateTopicsResponse)
        allowed = () if before == {0} else (ErrorCode.TOPIC_ALREADY_EXISTS,)
        code = must_be(
            answer.topics[0].error_code, *allowed, *UNFINISHED, who=self.name, what="creating"
        )
        if code is ErrorCode.NONE:
            if existed:
                raise InvariantError(f"{self.name}: a topic that exists was created")
            self._counts = {count}
            self._kept.clear()
            self._world.counts["topics created"] += 1
        elif code is ErrorCode.TOPIC_ALREADY_EXISTS and not self._in_doubt(code):
            self._counts = before - {0}

    async def _delete(self) -> None:
        before = set(self._counts)
        self._counts.add(0)
        self._kept.clear()
        state = DeleteTopicState(name=self._topic, topic_id=NIL_UUID)
        request = DeleteTopicsRequest(topics=[state], timeout_ms=10_000)
        answer = await self._caller.ask(request, 6, DeleteTopicsResponse)
        allowed = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,) if 0 in before else ()
        code = must_be(
            answer.responses[0].error_code, *allowed, *UNFINISHED, who=self.name, what="deleting"
        )
        if not self._in_doubt(code) or code is ErrorCode.NONE:
            self._counts = {0}

    def _in_doubt(self, code: ErrorCode) -> bool:
        """Whether what the broker says now is not what its next life finds: it goes on with what
        it knew where nobody can tell if a change was written."""
        if code in UNFINISHED:
            self._doubtful_life = self._world.machine.lives
        return self._doubtful_life == self._world.machine.lives

    async def _grow(self) -> None:
        before = set(self._counts)
        count = max(before) + 1
        if 0 in before or count > MOST_PARTITIONS:
            return
        self._counts.add(count)
        topic = CreatePartitionsTopic(name=self._topic, count=count, assignments=None)
        request = CreatePartitionsRequest(topics=[topic], timeout_ms=10_000, validate_only=False)
        answer = await self._caller.ask(request, 3, CreatePartitionsResponse)
        code = must_be(
            answer.results[0].error_code, *UNFINISHED, who=self.name, what="more partitions"
        )
        if code is ErrorCode.NONE:
            self._counts = {count}
            self._world.counts["topics grown"] += 1

    async def _alter(self) -> None:
        if 0 in self._counts:
            return
        key = self._chance.choice(sorted(VALUES))
        value = self._chance.choice(VALUES[key])
        self._settings[key].add(value)
        change = AlterableConfig(name=key, config_operation=SET, value=value)
        resource = AlterConfigsResource(
            resource_type=TOPIC_RESOURCE, resource_name=self._topic, configs=[change]
        )
        request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)
        answer = await self._caller.ask(request, 1, IncrementalAlterConfigsResponse)
        code = must_be(
            answer.responses[0].error_code, *UNFINISHED, who=self.name, what=f"altering {key}"
        )
        if code is ErrorCode.NONE:
            self._settings[key] = {value}
            self._world.counts["settings altered"] += 1

    async def _use(self) -> None:
        """Every partition of a topic that is there takes a record and gives it back."""
        if 0 in self._counts:
            return
        for index in range(min(self._counts)):
            await self._check_kept(index)
            is_flushed = self._is_flushed
            value = f"{self.name}/{self._world.loop.now:.6f}/{index}".encode()
            data = make_batch([value], timestamp_ms=self._world.machine.clock.now_ms())
            request = produce_request([((self._topic, index), data)], acks=-1)
            answer = await self._caller.ask(request, PRODUCE_VERSION, ProduceResponse)
            told = answer.responses[0].partition_responses[0]
            code = must_be(told.error_code, *RETRIABLE, who=self.name, what=f"using {index}")
            if code is not ErrorCode.NONE:
                return
            if is_flushed:
                self._kept[index] = told.base_offset, value
            fetch = fetch_request({(self._topic, index): told.base_offset})
            fetched = await self._caller.ask(fetch, FETCH_VERSION, FetchResponse)
            data_back = fetched.responses[0].partitions[0]
            allowed = (ErrorCode.OFFSET_OUT_OF_RANGE,) if self._may_lose else ()
            code = must_be(
                data_back.error_code, *allowed, *RETRIABLE, who=self.name, what="reading back"
            )
            if (
                code is ErrorCode.NONE
                and not self._may_lose
                and (told.base_offset, value) not in values_in(data_back.records)
            ):
                raise InvariantError(f"{self.name}: {told.base_offset} of {index} is not there")
            self._world.counts["topics used"] += 1

    @property
    def _may_lose(self) -> bool:
        """Whether retention, or a power loss, may take a record that was acknowledged."""
        flushes, retention = self._settings["flush.messages"], self._settings["retention.ms"]
        in_page_cache = not self._world.ledger.groups_flushed and flushes != {"1"}
        return in_page_cache or not flushes <= {None, "1"} or not retention <= {None, "-1"}

    @property
    def _is_flushed(self) -> bool:
        """Whether what is acknowledged now survives a power loss."""
        default = self._world.plan.options.flush_messages
        return {each or str(default) for each in self._settings["flush.messages"]} == {"1"}

    async def _check_kept(self, index: int) -> None:
        """The record of an earlier use is there, unless its time was over."""
        partition = self._topic, index
        accepted = self._world.ledger.accepted_losses
        if partition in accepted:
            accepted.discard(partition)
            self._kept.pop(index, None)
        if index not in self._kept:
            return
        offset, value = self._kept[index]
        fetched = await self._caller.ask(
            fetch_request({partition: offset}), FETCH_VERSION, FetchResponse
        )
        data = fetched.responses[0].partitions[0]
        allowed = (ErrorCode.OFFSET_OUT_OF_RANGE, *RETRIABLE)
        code = must_be(data.error_code, *allowed, who=self.name, what="what was kept")
        if code is ErrorCode.OFFSET_OUT_OF_RANGE:
            start = await self._caller.ask(
                list_request(partition, EARLIEST), LIST_VERSION, ListOffsetsResponse
            )
            told = start.topics[0].partitions[0]
            if told.error_code == ErrorCode.NONE and told.offset <= offset:
                raise InvariantError(f"{self.name}: {offset} of {index} is lost")
        elif code is ErrorCode.NONE and (offset, value) not in values_in(data.records):
            raise InvariantError(f"{self.name}: {offset} of {index} is another record")

    # What is there.

    async def _look(self) -> bool:
        """Whether all is known afterwards. ConnectionGoneError; InvariantError where what is there
        cannot be."""
        metadata = await self._caller.refresh_metadata(self._topic)
        topic = metadata.topics[0]
        code = must_be(
            topic.error_code,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            *RETRIABLE,
            who=self.name,
            what="metadata",
        )
        if code in RETRIABLE:
            return False
        count = 0 if code is not ErrorCode.NONE else len(topic.partitions)
        if count not in self._counts:
            raise InvariantError(
                f"{self.name}: the topic has {count} partitions, "
                f"and may have {sorted(self._counts)}"
            )
        return count == 0 or await self._settings_are_known()

    async def _settings_are_known(self) -> bool:
        resource = DescribeConfigsResource(
            resource_type=TOPIC_RESOURCE,
            resource_name=self._topic,
            configuration_keys=sorted(VALUES),
        )
        answer = await self._caller.ask(
            DescribeConfigsRequest(resources=[resource]), 4, DescribeConfigsResponse
        )
        result = answer.results[0]
        code = must_be(
            result.error_code,
            *((ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,) if 0 in self._counts else ()),
            *RETRIABLE,
            who=self.name,
            what="describing",
        )
        if code is not ErrorCode.NONE:
            return False
        for each in result.configs:
            may_be = self._settings[each.name]
            if None not in may_be and each.value not in may_be:
                allowed = " or ".join(sorted(map(str, may_be)))
                raise InvariantError(f"{self.name}: {each.name} is {each.value}, not {allowed}")
        self._world.counts["settings read"] += 1
        return True
