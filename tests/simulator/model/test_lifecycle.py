"""Crashes, stops, starts, leases and what a broker adopts."""

from simulator.model.rules import ALL_RULES, Rule
from simulator.model.state import UNKNOWN_FOLLOWER, UNKNOWN_PARTITION

ONE_DURABLE = "append 0; flush 0; append 0;"


def test_a_crash_keeps_what_was_durable(after, possible) -> None:
    state = after(ONE_DURABLE)
    assert possible(state, "crash 0") == ["crash 0 1", "crash 0 2"]
    assert possible(state, "crash_lossily 0") == ["crash_lossily 0 0"]
    broker = after("crash 0 1", state=state).brokers[0]
    assert (broker.running, len(broker.log), broker.durable_end, broker.lossy) == (
        False,
        1,
        1,
        False,
    )


def test_a_stop_flushes_and_ends_the_registration(after) -> None:
    state = after(ONE_DURABLE + "shut_down 0")
    assert (state.registrations[0], state.brokers[0].durable_end) == (0, 2)


def test_a_start_registers_anew_and_knows_nothing(after, possible) -> None:
    state = after(
        "append 0; flush 0; fetch 1; flush 1; fetch 1; fetch 2; flush 2; fetch 2;"
        "advance_high_watermark 0 1; crash 0 1"
    )
    # The checkpoint of the high watermark may be missing.
    assert possible(state, "start") == ["start 0 0", "start 0 1"]
    started = after("start 0 1", state=state)
    assert (started.registrations[0], started.next_broker_epoch) == (4, 5)
    assert started.brokers[0].partition == UNKNOWN_PARTITION
    assert not possible(started, "adopt_partition 0")
    same = after("start 0 1", ALL_RULES - {Rule.NEW_REGISTRATION}, state)
    assert same.registrations[0] == 1


def test_a_live_broker_can_lose_its_lease_and_registers_again(after, possible) -> None:
    state = after("expire_lease 0")
    assert possible(state, "append 0")
    again = after("register_again 0", state=state)
    assert not possible(again, "append 0")
    assert again.brokers[0].broker_epoch == again.registrations[0] == 4


def test_a_lossy_restart_stays_lossy_until_it_is_admitted(after) -> None:
    lossy = after("append 0; flush 0; crash_lossily 0 0; start 0 0")
    assert lossy.lossy_registrations == 0b001
    stopped = "shut_down 0; start 0 0"
    assert after(stopped, state=lossy).lossy_registrations == 0b001
    assert not after(stopped, ALL_RULES - {Rule.LOSSY_UNTIL_ADMITTED}, lossy).lossy_registrations
    admitted = after("admit 0 1", state=lossy)
    assert not after(stopped, state=admitted).lossy_registrations


def test_an_admission_says_nothing_of_a_crash_after_the_registration(after) -> None:
    died = after("crash 1 0; start 1 0; append 0; flush 0; fetch 2; crash 1 0; admit 1")
    assert not died.brokers[1].lossy
    lossy = after("append 0; flush 0; crash 0 1; start 0 0; crash_lossily 0 0; admit 0 1")
    assert lossy.brokers[0].lossy
    assert after("start 0 0", state=lossy).lossy_registrations == 0b001


def test_a_new_epoch_begins_without_knowledge_of_followers(after) -> None:
    fetched = "append 0; fetch 1; move_leadership 1; move_leadership 0; adopt_partition 0"
    leader = after(fetched).brokers[0]
    assert (leader.epoch_start, leader.followers[1]) == (1, UNKNOWN_FOLLOWER)
    kept = after(fetched, ALL_RULES - {Rule.ENDS_OF_THIS_EPOCH}).brokers[0]
    assert kept.followers[1] != UNKNOWN_FOLLOWER


def test_an_answer_that_was_overtaken_is_not_adopted(after) -> None:
    shrunk = "propose_isr 0 2; apply_proposal 0 2;"
    told = after(shrunk + "receive_answer 0 2")
    assert (told.brokers[0].partition, told.answers) == (told.partition, ())
    late = shrunk + "adopt_partition 0; fetch 2; propose_isr 0 2; apply_proposal 0 2;"
    late += "adopt_partition 0; receive_answer 0 2"
    assert after(late).brokers[0].partition.isr == 0b111
    stale = after(late, ALL_RULES - {Rule.NEWER_RECORD_ONLY})
    assert stale.brokers[0].partition.isr == 0b011


def test_an_answer_to_an_earlier_life_is_not_taken(after, possible) -> None:
    state = after("propose_isr 0 2; apply_proposal 0 2; crash 0 0; start 0 0")
    assert not possible(state, "receive_answer")
    dead = after("propose_isr 0 2; apply_proposal 0 2; crash 0 0; receive_answer 0 2")
    assert dead.brokers[0].partition == UNKNOWN_PARTITION


def test_truncation_to_the_high_watermark_forgets_what_epochs_would_keep(after) -> None:
    steps = "append 0; fetch 1; move_leadership 2; adopt_partition 1"
    assert len(after(steps).brokers[1].log) == 1
    assert not after(steps, ALL_RULES - {Rule.TRUNCATION_BY_EPOCH}).brokers[1].log
