"""The controller's transitions, taken beside the model of replication: none that it has not.

The same random story runs through `elections.py` and `simulator/model/controller.py`: of what the
model allows at each step the product does one thing, and it does nothing only where the model has
nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kbroker.cluster.elections import (
    Election,
    plan_departure,
    plan_drain,
    plan_election,
    plan_preferred,
    plan_restart,
)
from kbroker.cluster.metadata_records import PartitionRecord
from simulator.model import controller as model
from simulator.model.rules import ALL_RULES, Rule, Rules
from simulator.model.state import (
    NOBODY,
    UNBOUNDED,
    State,
    initial,
    members,
    replaced,
)
from simulator.model.state import PartitionRecord as ModelRecord
from simulator.model.steps import Step

BROKERS = (0, 1, 2)


def record_of(partition: ModelRecord, replicas: tuple[int, ...]) -> PartitionRecord:
    def in_order(brokers: int) -> tuple[int, ...]:
        return tuple(each for each in replicas if each in members(brokers))

    return PartitionRecord(
        replicas=replicas,
        leader=partition.leader,
        leader_epoch=partition.leader_epoch,
        isr=in_order(partition.isr),
        elr=in_order(partition.elr),
        last_known_leader=partition.last_known_leader,
        min_isr=partition.min_isr,
        partition_epoch=partition.partition_epoch,
    )


def model_of(record: PartitionRecord) -> ModelRecord:
    return ModelRecord(
        leader=record.leader,
        leader_epoch=record.leader_epoch,
        isr=sum(1 << each for each in record.isr),
        elr=sum(1 << each for each in record.elr),
        last_known_leader=record.last_known_leader,
        min_isr=record.min_isr,
        partition_epoch=record.partition_epoch,
    )


class Story:
    """A state of the model, which the product's transitions move on. Mutable."""

    def __init__(self, replicas: tuple[int, ...], rules: Rules = ALL_RULES) -> None:
        self.replicas = replicas
        self.rules = rules
        self.state = initial(UNBOUNDED)

    @property
    def record(self) -> PartitionRecord:
        return record_of(self.state.partition, self.replicas)

    def is_live(self, broker_id: int) -> bool:
        return model.is_active(self.state, broker_id, ALL_RULES)

    def goes(self, broker_id: int) -> None:
        registrations = replaced(self.state.registrations, broker_id, 0)
        self.state = self.state._replace(registrations=registrations)

    def registers(self, broker_id: int, lossy: bool) -> None:
        state, bit = self.state, 1 << broker_id
        if state.registrations[broker_id]:
            return
        others = state.lossy_registrations & ~bit
        self.state = state._replace(
            registrations=replaced(state.registrations, broker_id, state.next_broker_epoch),
            next_broker_epoch=state.next_broker_epoch + 1,
            lossy_registrations=others | bit if lossy else others,
        )

    def leaders_change(self, isr: int) -> None:
        """What a leader may propose: of brokers that are admitted, with itself among them."""
        partition = self.state.partition
        joining = isr & ~partition.isr
        is_allowed = partition.leader != NOBODY and isr >> partition.leader & 1
        if not is_allowed or not all(map(self.is_live, members(joining))):
            return
        elr = (partition.elr | partition.isr) & ~isr if isr.bit_count() < partition.min_isr else 0
        self.state = self.state._replace(
            partition=partition._replace(
                isr=isr, elr=elr, partition_epoch=partition.partition_epoch + 1
            )
        )

    def min_isr_changes(self, min_isr: int) -> None:
        partition = self.state.partition
        self.state = self.state._replace(
            partition=partition._replace(
                min_isr=min_isr, elr=0, partition_epoch=partition.partition_epoch + 1
            )
        )

    # The controller, in both worlds

    def depart(self, broker_id: int) -> None:
        if self.state.registrations[broker_id]:
            return  # a broker of which an admission will tell
        planned = plan_departure(self.record, broker_id, is_live=self.is_live)
        self._agree(planned, model.take_out(self.state, broker_id, self.rules))

    def admit(self, broker_id: int) -> None:
        state = self.state
        registration = state.registrations[broker_id]
        if not registration or state.admissions[broker_id] == registration:
            return
        lossy = bool(state.lossy_registrations >> broker_id & 1)
        planned = plan_restart(self.record, broker_id, lossy=lossy, is_live=self.is_live)
        self._agree(planned, model.admit(state, broker_id, self.rules))
        admissions = replaced(self.state.admissions, broker_id, registration)
        self.state = self.state._replace(admissions=admissions)

    def elect(self) -> None:
        planned = plan_election(self.record, is_live=self.is_live)
        self._agree(planned, self._each(model.elect, self.state))

    def prefer(self) -> None:
        planned = plan_preferred(self.record, is_staying=self.is_live)
        steps = model.move_leadership(self.state, self.replicas[0], self.rules)
        self._agree(None if planned is None else Election(planned), steps)

    def drain(self, broker_id: int) -> None:
        """As taking out one that is gone, where another can take over; else not at all."""
        planned = plan_drain(
            self.record, broker_id, is_staying=lambda each: each != broker_id and self.is_live(each)
        )
        gone = self.state._replace(registrations=replaced(self.state.registrations, broker_id, 0))
        steps = list(model.take_out(gone, broker_id, self.rules))
        if planned is not None:
            self._agree(Election(planned), iter(steps))

    def _each(self, action: object, state: State) -> Iterator[Step]:
        for broker_id in BROKERS:
            yield from action(state, broker_id, self.rules)  # type: ignore[operator]

    def _agree(self, planned: Election | None, steps: Iterator[Step]) -> None:
        before = self.state.partition
        possible = [after for _, after in steps]
        after = before if planned is None else model_of(planned.record)
        allowed = [each for each in possible if each.partition == after]
        if planned is None:
            assert not possible or allowed, (before, [each.partition for each in possible])
            return
        assert allowed, (before, after, [each.partition for each in possible])
        assert planned.possible_loss == allowed[0].loss_logged
        self.state = self.state._replace(partition=after)


steps_of_a_story = st.one_of(
    st.tuples(st.sampled_from(["goes", "depart", "admit", "drain"]), st.sampled_from(BROKERS)),
    st.tuples(st.just("registers"), st.sampled_from(BROKERS), st.booleans()),
    st.tuples(st.sampled_from(["elect", "prefer"])),
    st.tuples(st.just("leaders_change"), st.integers(1, 7)),
    st.tuples(st.just("min_isr_changes"), st.integers(1, 3)),
)


def play(story: Story, steps: list[tuple]) -> None:
    for name, *arguments in steps:
        getattr(story, name)(*arguments)
        partition = story.state.partition
        assert not partition.isr & partition.elr
        assert not (partition.elr and partition.isr.bit_count() >= partition.min_isr)
        assert partition.leader == NOBODY or partition.isr >> partition.leader & 1


@given(st.permutations(BROKERS), st.lists(steps_of_a_story, max_size=40))
@settings(max_examples=120, deadline=None)
def test_the_controller_does_nothing_that_the_model_does_not(replicas, steps) -> None:
    play(Story(tuple(replicas)), steps)


ALL_OUT = [("goes", 0), ("depart", 0), ("goes", 1), ("depart", 1), ("goes", 2), ("depart", 2)]


@pytest.mark.parametrize(
    ("rule", "steps"),
    [
        (Rule.ELR_KEPT, ALL_OUT),
        (Rule.LOSSY_LEAVES_ELR, [*ALL_OUT, ("registers", 2, True), ("admit", 2)]),
        (Rule.EPOCH_RAISED_AT_START, [("goes", 0), ("registers", 0, False), ("admit", 0)]),
    ],
)
def test_without_a_rule_the_model_is_another_one(rule: Rule, steps: list[tuple]) -> None:
    play(Story((0, 1, 2)), steps)
    with pytest.raises(AssertionError):
        play(Story((0, 1, 2), ALL_RULES - {rule}), steps)
