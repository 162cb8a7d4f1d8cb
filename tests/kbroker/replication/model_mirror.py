"""Three real replicas that do, step by step, what the model of replication does.

The model is everything that is not a replica: metadata store, controller, leases, and the messages
under way. What the replicas decide by themselves, how far the high watermark goes and which ISR is
proposed, they decide, and the model must allow it. After every step both must look the same.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from kbroker.cluster.metadata_records import PartitionRecord
from kbroker.replication.isr import IsrProposal
from kbroker.replication.partition import Partition
from simulator.model import replication
from simulator.model.invariants import INVARIANTS, broken
from simulator.model.rules import ALL_RULES
from simulator.model.state import (
    UNKNOWN_PARTITION,
    Budget,
    Proposal,
    Record,
    State,
    initial,
    leads,
    maximal_isr,
    members,
    with_broker,
)
from simulator.model.state import PartitionRecord as ModelRecord
from simulator.model.steps import Label
from tests.kbroker.replication.replicas_harness import read
from tests.log.log_harness import LogOnDisk, batch
from wire.records.batch import iterate_batches
from wire.records.record import iterate_records

BUDGET = Budget(
    records=12,
    crashes=4,
    lossy_crashes=1,
    shutdowns=1,
    lease_expiries=2,
    proposals=0,  # the replicas make their own
    leader_moves=3,
    min_isr_changes=1,
)


def real(record: ModelRecord, broker_count: int = 3) -> PartitionRecord:
    """The model's record as the metadata store would hold it."""
    return PartitionRecord(
        replicas=tuple(range(broker_count)),
        leader=record.leader,
        leader_epoch=record.leader_epoch,
        isr=members(record.isr),
        elr=members(record.elr),
        last_known_leader=record.last_known_leader,
        min_isr=record.min_isr,
        partition_epoch=record.partition_epoch,
        mod_revision=record.partition_epoch,
    )


def bits(brokers: tuple[int, ...]) -> int:
    return sum(1 << each for each in brokers)


@dataclass(slots=True)
class Node:
    """One broker's replica; `partition` is there once it has heard who leads. Mutable."""

    home: LogOnDisk = field(default_factory=LogOnDisk)
    partition: Partition | None = None
    high_watermark: int = 0
    told: int = 0
    """What the high watermark is once the log is durable as far as it goes."""

    def open(self, node: int, record: PartitionRecord) -> None:
        self.partition = Partition(
            topic="topic",
            index=0,
            node_id=node,
            record=record,
            log=self.home.open(clean=False),
            high_watermark=self.high_watermark,
            arm_flush=lambda partition: None,
        )

    def records(self) -> tuple[Record, ...]:
        assert self.partition is not None
        log = self.partition.log
        found: list[Record] = []
        while len(found) < log.log_end_offset:
            data = read_all(log, len(found))
            for position, header in iterate_batches(data):
                for each in iterate_records(data, position, max_decompressed_bytes=1 << 20):
                    assert each.value is not None
                    found.append(Record(header.partition_leader_epoch, int(each.value)))
        return tuple(found)


def read_all(log, offset: int) -> bytes:
    piece = log.read(offset, max_bytes=1 << 20, upper_bound_offset=log.log_end_offset)
    data = piece.source.read_at(piece.position, len(piece))
    piece.release()
    return data


class Mirror:
    """The model's state and the replicas that mirror it. Mutable."""

    def __init__(self, chance: random.Random) -> None:
        self.state = initial(BUDGET)
        self.chance = chance
        self.nodes = [Node() for _ in self.state.brokers]
        self.proposals: list[tuple[Proposal, IsrProposal]] = []
        self.steps: list[str] = []
        self.now = 0.0
        for index, node in enumerate(self.nodes):
            node.open(index, real(self.state.partition))
        self.advance()

    def __str__(self) -> str:
        return "; ".join(self.steps)

    # Steps of the model.

    def take(self, label: Label, after: State) -> None:
        """Do what the model has done, and compare."""
        self.steps.append(str(label))
        before, self.state = self.state, after
        method = getattr(self, f"_{label.action}", None)
        if method is not None:
            method(label, before)
        self.advance()
        self.compare()

    def _append(self, label: Label, before: State) -> None:
        record = self.state.brokers[label.broker].log[-1]
        self.partition(label.broker).append_as_leader(
            batch(b"%d" % record.number), now_ms=self.nodes[0].home.now_ms, required_acks=1
        )

    def _flush(self, label: Label, before: State) -> None:
        node = self.nodes[label.broker]
        partition = node.partition
        if partition is None:
            return  # it is durable as it was found
        ticket = partition.prepare_flush()
        assert ticket is not None
        ticket.sync()
        partition.complete_flush(ticket)

    def _fetch(self, label: Label, before: State) -> None:
        follower, leader_id = label.broker, before.brokers[label.broker].partition.leader
        ours, theirs = self.partition(follower), self.partition(leader_id)
        following = ours.followed_in(ours.leader_epoch)
        end = ours.log.log_end_offset
        theirs.check_leader(ours.leader_epoch)
        assert theirs.diverging_epoch(following.last_fetched_epoch, end) is None
        records = read(theirs.log, end, 1)
        high_watermark = theirs.high_watermark
        theirs.fetched_by_follower(
            follower,
            before.brokers[follower].broker_epoch,
            ours.durable_end_offset,
            ours.log.log_start_offset,
            now=self.now,
        )
        following.append(
            records,
            leader_high_watermark=high_watermark,
            leader_log_start=0,
            now_ms=self.nodes[0].home.now_ms,
        )
        self.nodes[follower].told = self.state.brokers[follower].high_watermark

    def _truncate(self, label: Label, before: State) -> None:
        follower, leader_id = label.broker, before.brokers[label.broker].partition.leader
        ours, theirs = self.partition(follower), self.partition(leader_id)
        following = ours.followed_in(ours.leader_epoch)
        diverging = theirs.diverging_epoch(following.last_fetched_epoch, ours.log.log_end_offset)
        assert diverging is not None
        assert following.truncate_to_divergence(*diverging) == label.argument
        node = self.nodes[follower]
        node.told = min(node.told, label.argument)

    def _apply_proposal(self, label: Label, before: State) -> None:
        gone = [each for each in before.proposals if each not in self.state.proposals]
        for proposal, ours in self.proposals:
            if proposal in gone:
                assert real(self.state.partition) == _stored(ours), "the same ELR as well"

    def _refuse_proposal(self, label: Label, before: State) -> None:
        for proposal, ours in self.proposals:
            if proposal not in self.state.proposals and proposal in before.proposals:
                partition = self.nodes[label.broker].partition
                if partition is not None and partition.in_sync is not None:
                    partition.in_sync.refused(ours)
                    partition.advance_high_watermark()

    def _adopt_partition(self, label: Label, before: State) -> None:
        self._adopt(label.broker, self.state.partition)

    def _receive_answer(self, label: Label, before: State) -> None:
        for answer in before.answers:
            broker = before.brokers[label.broker]
            if answer not in self.state.answers and broker.partition != UNKNOWN_PARTITION:
                self._adopt(label.broker, answer.partition)

    def _adopt(self, broker: int, record: ModelRecord) -> None:
        node = self.nodes[broker]
        partition = node.partition
        if partition is None:
            node.open(broker, real(record))
            node.told = self.partition(broker).high_watermark
            return
        leader_epoch = partition.leader_epoch
        partition.apply(real(record))
        if partition.leader_epoch != leader_epoch:
            node.told = partition.high_watermark

    def _register_again(self, label: Label, before: State) -> None:
        partition = self.nodes[label.broker].partition
        if partition is not None:
            partition.step_down()

    def _crash(self, label: Label, before: State) -> None:
        self._end(label.broker)

    _crash_lossily = _crash

    def _shut_down(self, label: Label, before: State) -> None:
        self._end(label.broker)

    def _end(self, broker: int) -> None:
        """A power cut, after which the disk has as much as the model says."""
        node, end = self.nodes[broker], len(self.state.brokers[broker].log)
        whole = node.home.open(clean=False) if node.partition is None else node.partition.log
        durable_end = whole.recovery_point
        tail = {offset: bytes(read(whole, offset, 1)) for offset in range(durable_end, end)}
        node.partition = None
        node.home.disk = node.home.disk.crash(self.chance)
        log = node.home.open(clean=False)
        assert log.log_end_offset >= durable_end, "what was durable is lost"
        log.truncate_to(end)
        for offset in range(log.log_end_offset, end):
            log.append_as_follower(memoryview(tail[offset]), now_ms=node.home.now_ms)
        log.flush_now()
        node.home.disk = node.home.disk.crash(self.chance)

    def checkpoint(self, broker: int) -> None:
        """What a broker writes every second."""
        node = self.nodes[broker]
        if node.partition is not None:
            node.home.checkpoint(node.partition.log)
            node.home.checkpoints.high_watermark = node.partition.high_watermark

    def _start(self, label: Label, before: State) -> None:
        self.nodes[label.broker].high_watermark = label.argument

    # What replicas do by themselves.

    def propose(self, broker: int, *, removing: bool) -> None:
        """Ask the leader for a change of the ISR: of who lags, or of who may join."""
        partition = self.nodes[broker].partition
        if partition is None or partition.in_sync is None:
            return
        known = {
            each: follower.broker_epoch
            for each, follower in enumerate(self.state.brokers[broker].followers)
        }
        proposal = partition.propose_isr(self.now, lag_max_s=-1 if removing else 1e9, active=known)
        if proposal is None:
            self.advance()
            return
        changed = set(proposal.record.isr) ^ set(proposal.seen.isr)
        (member,) = changed or {broker}
        budget = self.state.budget
        self.state = self.state._replace(budget=budget._replace(proposals=1))
        label = Label("propose_isr", broker, member)
        allowed = dict(replication.propose_isr(self.state, broker, ALL_RULES))
        assert label in allowed, f"the model does not allow to {label}"
        self.steps.append(str(label))
        self.state = allowed[label]
        asked = self.state.proposals[-1]
        assert bits(proposal.record.isr) == asked.isr
        assert proposal.joining in ((), ((asked.joining, asked.joining_epoch),))
        self.proposals.append((asked, proposal))
        self.advance()
        self.compare()

    def time_out(self, broker: int) -> None:
        """A leader waits for the answer to its proposal no longer."""
        partition = self.nodes[broker].partition
        for _, proposal in self.proposals:
            if partition is not None and partition.in_sync is not None:
                partition.in_sync.unknown(proposal)
        self.compare()

    def advance(self) -> None:
        """The high watermarks of leaders, as far as the replicas have moved them."""
        for index, node in enumerate(self.nodes):
            partition, broker = node.partition, self.state.brokers[index]
            if partition is None or not leads(broker, index):
                continue
            steps = list(replication.advance_high_watermark(self.state, index, ALL_RULES))
            if partition.high_watermark > broker.high_watermark:
                assert steps, f"broker {index} advances to {partition.high_watermark}"
                ((label, after),) = steps
                assert partition.high_watermark <= label.argument, f"not to {label.argument}"
                if partition.high_watermark < label.argument:
                    after = self._short_of(index, after)
                self.steps.append(str(label._replace(argument=partition.high_watermark)))
                self.state = after
            elif steps and not self._holds_back(index):
                raise AssertionError(f"broker {index} does not advance, but {steps[0][0]}")

    def _short_of(self, index: int, after: State) -> State:
        """As the model advances, but not as far: somebody is waited for who is about to join."""
        assert self._holds_back(index)
        end = self.partition(index).high_watermark
        broker = after.brokers[index]._replace(high_watermark=end)
        committed = self.state.committed
        if end > len(committed) and broker.log[: len(committed)] == committed:
            committed = broker.log[:end]
        return with_broker(after, index, broker)._replace(committed=committed)

    def _holds_back(self, index: int) -> bool:
        """Whether the leader counts more brokers than the model must."""
        in_sync = self.partition(index).in_sync
        assert in_sync is not None
        counted = [each for each, who in in_sync._followers.items() if who in in_sync._counted]
        return bool(bits(tuple(counted)) & ~maximal_isr(self.state.brokers[index]))

    # Comparing.

    def compare(self) -> None:
        for index, node in enumerate(self.nodes):
            broker, partition = self.state.brokers[index], node.partition
            assert partition is None or broker.running, f"{index} runs"
            if partition is None or broker.partition == UNKNOWN_PARTITION:
                continue
            assert partition.record == real(broker.partition), f"record of {index}"
            assert partition.is_leader == leads(broker, index), f"leadership of {index}"
            assert node.records() == broker.log, f"log of {index}"
            assert partition.durable_end_offset == broker.durable_end, f"durable end of {index}"
            if partition.is_leader:
                assert partition.high_watermark == broker.high_watermark, f"watermark of {index}"
                assert partition.epoch_start_offset == broker.epoch_start
                assert partition.in_sync is not None
                ours = bits(partition.in_sync.maximal_isr())
                assert not maximal_isr(broker) & ~ours, f"maximal ISR of {index}"
            else:
                expected = min(node.told, broker.durable_end)
                assert partition.high_watermark == expected, f"watermark of follower {index}"
                # The model's goes to the log's end; ours only as far as that is durable.
                lower = broker._replace(high_watermark=expected)
                self.state = with_broker(self.state, index, lower)
        assert broken(self.state, INVARIANTS) is None, broken(self.state, INVARIANTS)

    def partition(self, index: int) -> Partition:
        partition = self.nodes[index].partition
        assert partition is not None
        return partition


def _stored(proposal: IsrProposal) -> PartitionRecord:
    return replace(proposal.record, mod_revision=proposal.record.partition_epoch)
