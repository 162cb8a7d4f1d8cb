"""Sequence numbers, epochs and open transactions, against a list of what was appended."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from log.producer_snapshot import decode_snapshot, encode_snapshot
from log.producer_state import (
    BatchMetadata,
    CompletedTransaction,
    Origin,
    ProducerState,
    ProducerUpdate,
)
from wire.errors import ErrorCode, KafkaError
from wire.records.batch import BatchHeader, iterate_batches
from wire.records.batch_header import CONTROL_BIT, TRANSACTIONAL_BIT
from wire.records.control import EndTransactionMarker, read_end_transaction_marker

DAY = 86_400_000
FRAMES = Path(__file__).parents[1] / "wire" / "records" / "frames"
COMMIT = EndTransactionMarker(is_commit=True, coordinator_epoch=0)
ABORT = EndTransactionMarker(is_commit=False, coordinator_epoch=0)
OUT_OF_ORDER = ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
WRONG_EPOCH = ErrorCode.INVALID_PRODUCER_EPOCH


def _header(
    sequence: int,
    count: int = 1,
    *,
    producer_id: int = 1,
    epoch: int = 0,
    attributes: int = 0,
    timestamp: int = 1000,
) -> BatchHeader:
    return BatchHeader(
        *(0, 49, -1, 2, 0, attributes, count - 1, timestamp, timestamp),
        *(producer_id, epoch, sequence, count),
    )


def _marker_header(*, producer_id: int = 1, epoch: int = 0, timestamp: int = 1000) -> BatchHeader:
    bits = CONTROL_BIT | TRANSACTIONAL_BIT
    return _header(-1, producer_id=producer_id, epoch=epoch, attributes=bits, timestamp=timestamp)


class Partition:
    """What a log does with a `ProducerState`: the least of it."""

    def __init__(self) -> None:
        self.state = ProducerState(producer_id_expiration_ms=DAY)
        self.end_offset = 0

    def append(self, header: BatchHeader, origin: Origin = Origin.CLIENT) -> int | ErrorCode:
        """The base offset (of the first time, for a duplicate) or the error."""
        if origin is Origin.CLIENT:
            duplicate = self.state.find_duplicate(header)
            if duplicate is not None:
                return duplicate.first_offset
        try:
            update = self.state.plan(header, base_offset=self.end_offset, origin=origin)
        except KafkaError as error:
            return error.code
        return self._write(header, update)

    def end(
        self,
        marker: EndTransactionMarker,
        *,
        producer_id: int = 1,
        epoch: int = 0,
        transaction_version: int = 0,
    ) -> CompletedTransaction | ErrorCode | None:
        header = _marker_header(producer_id=producer_id, epoch=epoch)
        try:
            update = self.state.plan(
                header,
                base_offset=self.end_offset,
                origin=Origin.COORDINATOR,
                marker=marker,
                transaction_version=transaction_version,
            )
        except KafkaError as error:
            return error.code
        assert update is not None
        self._write(header, update)
        return update.completed

    def begin(self, sequence: int, *, producer_id: int = 1, epoch: int = 0) -> int | ErrorCode:
        bit = TRANSACTIONAL_BIT
        return self.append(_header(sequence, producer_id=producer_id, epoch=epoch, attributes=bit))

    def _write(self, header: BatchHeader, update: ProducerUpdate | None) -> int:
        base_offset = self.end_offset
        self.end_offset += header.last_offset_delta + 1
        if update is not None:
            self.state.apply(update)
        self.state.end_offset = self.end_offset
        return base_offset


@pytest.fixture
def partition() -> Partition:
    return Partition()


def test_batches_in_order_are_appended(partition: Partition) -> None:
    assert [partition.append(_header(s, 3)) for s in (0, 3, 6)] == [0, 3, 6]


def test_a_batch_without_a_producer_id_leaves_no_trace(partition: Partition) -> None:
    assert partition.append(_header(-1, producer_id=-1)) == 0
    assert partition.append(_header(-1, producer_id=-2)) == 1
    assert partition.state.entries == []


def test_of_the_last_five_a_duplicate_gets_its_old_offset(partition: Partition) -> None:
    for sequence in range(7):
        assert partition.append(_header(sequence)) == sequence
    for sequence in range(2, 7):
        assert partition.append(_header(sequence)) == sequence
    assert partition.append(_header(1)) == OUT_OF_ORDER
    assert partition.append(_header(7)) == 7


def test_a_duplicate_has_the_same_range(partition: Partition) -> None:
    partition.append(_header(0, 3))
    assert partition.append(_header(0, 2)) == OUT_OF_ORDER
    assert partition.append(_header(1, 2)) == OUT_OF_ORDER
    assert partition.append(_header(0, 3, epoch=1)) == 3


def test_a_gap_is_out_of_order(partition: Partition) -> None:
    partition.append(_header(0))
    assert partition.append(_header(2)) == OUT_OF_ORDER


def test_an_unknown_producer_may_start_anywhere(partition: Partition) -> None:
    assert partition.append(_header(1234, epoch=7)) == 0
    assert partition.append(_header(1235, epoch=7)) == 1


def test_a_new_epoch_starts_at_0(partition: Partition) -> None:
    partition.append(_header(5))
    assert partition.append(_header(6, epoch=1)) == OUT_OF_ORDER
    assert partition.append(_header(0, epoch=1)) == 1
    assert partition.append(_header(6)) == WRONG_EPOCH
    assert partition.append(_header(1, epoch=1)) == 2


def test_sequences_wrap_after_2_to_the_31(partition: Partition) -> None:
    """KAFKA-7692."""
    top = 2**31 - 1
    assert partition.append(_header(top)) == 0
    assert partition.append(_header(0)) == 1
    assert partition.append(_header(top)) == 0
    other = Partition()
    assert other.append(_header(top - 1, 4)) == 0
    assert other.append(_header(top - 1, 4)) == 0
    assert other.append(_header(2)) == 4


def test_a_failed_append_changes_nothing(partition: Partition) -> None:
    """KAFKA-6683."""
    partition.append(_header(0))
    before = partition.state.entries
    assert partition.state.plan(_header(1), base_offset=1, origin=Origin.CLIENT) is not None
    assert partition.state.entries == before
    assert partition.append(_header(1)) == 1


def test_what_comes_behind_a_refused_first_batch_waits_for_it(partition: Partition) -> None:
    """A producer that is not known may begin anywhere, but not because its disk was full."""
    state = partition.state
    refused = state.plan(_header(0, 3), base_offset=0, origin=Origin.CLIENT)
    assert refused is not None
    state.refused(refused)
    assert partition.append(_header(3)) == OUT_OF_ORDER
    assert partition.append(_header(7, producer_id=9)) == 0, "others may begin anywhere"
    assert partition.append(_header(0, 3)) == 1
    assert partition.append(_header(3)) == 4


def test_a_producer_that_gave_the_refused_batch_up_goes_on_in_a_new_epoch(
    partition: Partition,
) -> None:
    refused = partition.state.plan(_header(0, 3), base_offset=0, origin=Origin.CLIENT)
    assert refused is not None
    partition.state.refused(refused)
    assert partition.append(_header(0, epoch=1)) == 0
    assert partition.append(_header(1, epoch=1)) == 1


def test_the_brokers_own_batches_have_no_sequence(partition: Partition) -> None:
    assert partition.append(_header(-1), Origin.COORDINATOR) == 0
    assert partition.append(_header(-1), Origin.COORDINATOR) == 1
    assert partition.append(_header(-1, epoch=1), Origin.COORDINATOR) == 2
    assert partition.append(_header(-1), Origin.COORDINATOR) == WRONG_EPOCH


def test_what_a_leader_has_judged_is_not_judged_again(partition: Partition) -> None:
    partition.begin(5, epoch=4)
    assert partition.append(_header(99, epoch=2), Origin.REPLICATION) == 1


def test_an_open_transaction_holds_the_last_stable_offset(partition: Partition) -> None:
    state = partition.state
    partition.append(_header(0, 2, producer_id=9))
    partition.begin(0)
    partition.begin(1)
    partition.begin(0, producer_id=2)
    assert state.first_undecided_offset == 2
    assert state.last_stable_offset(5) == 2
    assert state.last_stable_offset(1) == 1
    assert partition.end(COMMIT) == CompletedTransaction(1, 2, 5, False, last_stable_offset=4)
    assert state.first_undecided_offset == 4
    assert state.last_stable_offset(5) == 2, "decided, but the decision is not replicated"
    assert state.last_stable_offset(6) == 4
    assert partition.end(ABORT, producer_id=2) == CompletedTransaction(2, 4, 6, True, 7)
    assert state.last_stable_offset(7) == 7
    assert state.first_undecided_offset is None


def test_a_marker_without_data_leaves_no_transaction(partition: Partition) -> None:
    assert partition.end(COMMIT, epoch=3) is None
    assert partition.state.last_stable_offset(1) == 1
    assert partition.begin(0, epoch=2) == WRONG_EPOCH
    assert partition.begin(1, epoch=3) == OUT_OF_ORDER
    assert partition.begin(0, epoch=3) == 1


def test_an_emptied_marker_changes_nothing(partition: Partition) -> None:
    update = partition.state.plan(_marker_header(), base_offset=0, origin=Origin.REPLICATION)
    assert update is None


def test_a_plain_batch_inside_a_transaction(partition: Partition) -> None:
    partition.begin(0)
    assert partition.append(_header(1)) == ErrorCode.INVALID_TXN_STATE
    partition.end(COMMIT)
    assert partition.append(_header(1)) == 2


def test_markers_of_old_coordinators_and_epochs(partition: Partition) -> None:
    partition.begin(0, epoch=2)
    newer = EndTransactionMarker(is_commit=True, coordinator_epoch=5)
    assert partition.end(COMMIT, epoch=1) == WRONG_EPOCH
    assert partition.end(newer, epoch=2) is not None
    partition.begin(1, epoch=2)
    assert partition.end(COMMIT, epoch=2) == ErrorCode.TRANSACTION_COORDINATOR_FENCED


def test_transactions_v2_end_in_an_epoch_of_their_own(partition: Partition) -> None:
    """KIP-890, and KAFKA-19999 for the repeated marker."""
    partition.begin(0, epoch=2)
    assert partition.end(COMMIT, epoch=2, transaction_version=2) == WRONG_EPOCH
    assert isinstance(partition.end(COMMIT, epoch=3, transaction_version=2), CompletedTransaction)
    assert partition.end(COMMIT, epoch=3, transaction_version=2) is None
    assert partition.begin(0, epoch=3) == 3


def test_expiry_by_the_last_timestamp_but_not_in_a_transaction(partition: Partition) -> None:
    partition.append(_header(0, producer_id=1, timestamp=0))
    partition.append(_header(0, producer_id=2, timestamp=5000))
    partition.begin(0, producer_id=3)
    assert partition.state.remove_expired(DAY - 1) == 0
    assert partition.state.remove_expired(DAY + 4999) == 1
    assert [entry.producer_id for entry in partition.state.entries] == [2, 3]
    assert partition.append(_header(77, producer_id=1)) == 3
    assert partition.state.remove_expired(10 * DAY) == 2


def test_a_state_started_over_keeps_open_transactions_in_order(partition: Partition) -> None:
    partition.begin(0, producer_id=8)
    partition.begin(0, producer_id=3)
    partition.append(_header(0, producer_id=5, timestamp=0))
    entries = partition.state.entries
    partition.state.reset(3, entries, now_ms=DAY)
    assert partition.state.first_undecided_offset == 0
    assert [entry.producer_id for entry in partition.state.entries] == [3, 8]
    assert partition.end(COMMIT, producer_id=8) == CompletedTransaction(8, 0, 3, False, 1)
    partition.state.on_log_start(10)
    assert partition.state.end_offset == 10
    partition.state.reset(0, now_ms=0)
    assert partition.state.entries == []
    assert partition.state.last_stable_offset(4) == 4


def test_the_replay_of_kafkas_own_file_gives_kafkas_own_snapshot() -> None:
    """Two producers; one transaction committed, one aborted, one committed, two left open."""
    data = (FRAMES / "java_transactions.batch").read_bytes()
    state = ProducerState(producer_id_expiration_ms=DAY)
    completed = []
    for position, header in iterate_batches(data):
        done = state.replay(header, read_end_transaction_marker(data, position, header))
        completed += [done] if done else []
    assert completed == [
        CompletedTransaction(1, 0, 3, False, 4),
        CompletedTransaction(1, 4, 7, True, 8),
        CompletedTransaction(1, 8, 11, False, 12),
    ]
    assert state.end_offset == 14
    assert state.last_stable_offset(14) == 12
    kafkas = bytes.fromhex(
        "0001eb4a002800000002"
        "000000000000000100000000000900000000000000" + "0c00000000000001a2042242550000"
        "0000000000000000000c"
        "000000000000000200000000000000000000000000" + "0d00000000000001a2042243bfffff"
        "ffff000000000000000d"
    )
    newest = [replace(entry, batches=entry.batches[-1:]) for entry in state.entries]
    assert encode_snapshot(newest) == kafkas
    assert decode_snapshot(encode_snapshot(state.entries)) == state.entries, "and more than those"
    assert [entry.last_sequence for entry in decode_snapshot(kafkas)] == [9, 0]


def test_500_requests_are_answered_as_kafka_answered_them(partition: Partition) -> None:
    """Three producers, right and wrong sequences, repeats old and new, epochs up and down."""
    lines = (Path(__file__).parent / "kafka_sequences.txt").read_text().splitlines()
    for line in lines:
        if line.startswith("#"):
            continue
        *numbers, error, base_offset = line.split()
        producer_id, epoch, sequence, count = map(int, numbers)
        answer = partition.append(_header(sequence, count, producer_id=producer_id, epoch=epoch))
        expected = int(base_offset) if error == "NONE" else ErrorCode[error]
        assert answer == expected, line


@dataclass
class Sent:
    header: BatchHeader
    offset: int


class Producers(RuleBasedStateMachine):
    """Whatever clients send, the log holds each producer's batches in order and once.

    The model is the list of batches in the log. A snapshot knows what the state knew.
    """

    def __init__(self) -> None:
        super().__init__()
        self.partition = Partition()
        self.log: list[Sent] = []
        self.known: dict[int, list[Sent]] = {}

    def send(self, header: BatchHeader) -> None:
        known = self.known.get(header.producer_id, [])
        result = self.partition.append(header)
        same = [each.offset for each in known if each.header == header]
        current = known[-1].header.producer_epoch if known else -1
        if same and header.producer_epoch == current:
            assert result == same[-1]
            return
        if header.producer_epoch < current:
            assert result == WRONG_EPOCH
            return
        if known and header.producer_epoch > current:
            in_order = header.base_sequence == 0
        else:
            last = known[-1].header.last_sequence if known else -1
            in_order = not known or header.base_sequence == (last + 1) % 2**31
        if not in_order:
            assert result == OUT_OF_ORDER
            return
        assert result == self.partition.end_offset - header.record_count
        sent = Sent(header, result)
        self.log.append(sent)
        kept = known if header.producer_epoch == current else []
        self.known[header.producer_id] = [*kept, sent][-5:]

    @rule(producer=st.integers(1, 3), count=st.integers(1, 4), times=st.integers(1, 4))
    def send_the_next(self, producer: int, count: int, times: int) -> None:
        for _ in range(times):
            known = self.known.get(producer)
            last = known[-1].header if known else None
            sequence = (last.last_sequence + 1) % 2**31 if last else 2**31 - 6
            epoch = last.producer_epoch if last else 0
            self.send(_header(sequence, count, producer_id=producer, epoch=epoch))

    @precondition(lambda self: self.log)
    @rule(back=st.integers(0, 9))
    def send_again(self, back: int) -> None:
        self.send(self.log[-1 - back % len(self.log)].header)

    @rule(
        producer=st.integers(1, 3),
        epoch=st.integers(0, 3),
        sequence=st.sampled_from([0, 1, 5, 2**31 - 1]),
        count=st.integers(1, 3),
    )
    def send_anything(self, producer: int, epoch: int, sequence: int, count: int) -> None:
        self.send(_header(sequence, count, producer_id=producer, epoch=epoch))

    @rule()
    def restart_from_a_snapshot(self) -> None:
        entries = decode_snapshot(encode_snapshot(self.partition.state.entries))
        self.partition.state.reset(self.partition.end_offset, entries, now_ms=0)

    @invariant()
    def the_state_is_the_tail_of_the_log(self) -> None:
        for entry in self.partition.state.entries:
            known = self.known[entry.producer_id]
            assert entry.batches == tuple(
                BatchMetadata(
                    each.header.last_sequence,
                    each.offset + each.header.last_offset_delta,
                    each.header.last_offset_delta,
                    each.header.max_timestamp,
                )
                for each in known
            )
        assert len(self.partition.state.entries) == len(self.known)


TestProducers = Producers.TestCase
TestProducers.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
