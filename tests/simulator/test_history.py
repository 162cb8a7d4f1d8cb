"""Every anomaly is found in a history made by hand, and a clean history has none."""

import pytest

from simulator.history import Anomaly, Fate, History

PLACE = ("orders", 0)


@pytest.fixture
def history() -> History:
    """Two producers sent a, b and c; all were acknowledged, a reader saw a and b."""
    history = History()
    for offset, (value, producer) in enumerate([(b"a", "one"), (b"b", "two"), (b"c", "one")]):
        history.sent(value, producer=producer, partition=PLACE)
        history.acknowledged(value, offset)
    history.polled("reader", PLACE, [(0, b"a"), (1, b"b")])
    return history


def finish(
    history: History, *values: bytes | None, start: int = 0, dense: bool = True
) -> list[str]:
    """The names of what is found if the log holds these values from `start` on; None: a hole."""
    records = [(at, value) for at, value in enumerate(values, start) if value is not None]
    history.read_whole(PLACE, records, start=start, dense=dense)
    anomalies = history.check()
    assert history.check() == anomalies, "judging changes nothing"
    return [each.name for each in anomalies]


def test_a_clean_history_has_no_anomaly(history):
    history.sent(b"unknown and lost", producer="one", partition=PLACE)
    history.sent(b"d", producer="two", partition=PLACE)
    history.sent(b"refused", producer="two", partition=PLACE)
    history.failed(b"refused")
    history.polled("reader", PLACE, [(2, b"c")])
    assert finish(history, b"a", b"b", b"c", b"d") == []
    assert history.sends[b"d"].fate is Fate.UNKNOWN


def test_lost_write_of_what_was_acknowledged(history):
    history.polled("other", PLACE, [(3, b"d")])
    history.sent(b"d", producer="two", partition=PLACE)
    assert finish(history, b"a", b"b", None, b"d", dense=False) == ["lost-write"]


def test_lost_write_of_what_was_polled(history):
    history.sent(b"d", producer="two", partition=PLACE)
    history.polled("other", PLACE, [(3, b"d")])
    assert finish(history, b"a", b"b", b"c") == ["lost-write"]


def test_unseen(history):
    assert finish(history, b"a", b"b") == ["unseen"]


def test_unseen_without_an_offset(history):
    history.sent(b"d", producer="two", partition=PLACE)
    history.acknowledged(b"d", None)
    assert finish(history, b"a", b"b", b"c") == ["unseen"]


def test_duplicate(history):
    assert finish(history, b"a", b"b", b"c", b"b") == ["duplicate"]


def test_a_client_without_sequence_numbers_may_send_again(history):
    history.sent(b"d", producer="plain", partition=PLACE, may_repeat=True)
    history.sent(b"e", producer="plain", partition=PLACE, may_repeat=True)
    history.acknowledged(b"d", 5)
    assert finish(history, b"a", b"b", b"c", b"d", b"e", b"d") == []


def test_inconsistent_offsets_of_one_offset(history):
    history.polled("other", PLACE, [(1, b"c")])
    names = finish(history, b"a", b"b", b"c")
    assert names == ["inconsistent-offsets"]


def test_inconsistent_offsets_of_what_was_polled_and_is_there(history):
    history.sent(b"d", producer="three", partition=PLACE)
    history.sent(b"e", producer="four", partition=PLACE)
    history.polled("reader", PLACE, [(2, b"c"), (3, b"d"), (4, b"e")])
    names = finish(history, b"a", b"b", b"c", b"e", b"d")
    assert names == ["inconsistent-offsets"] * 2


def test_inconsistent_offsets_of_an_acknowledgement(history):
    history.sent(b"d", producer="two", partition=PLACE)
    history.acknowledged(b"d", 4)
    history.sent(b"e", producer="three", partition=PLACE)
    assert finish(history, b"a", b"b", b"c", b"d", b"e") == ["inconsistent-offsets"]


def test_inconsistent_offsets_of_two_acknowledgements(history):
    history.acknowledged(b"a", 0)
    assert finish(history, b"a", b"b", b"c") == []
    history.acknowledged(b"a", 1)
    history.acknowledged(b"a", 0)
    assert finish(history, b"a", b"b", b"c") == ["inconsistent-offsets"] * 2


def test_nonmonotonic_send():
    history = History()
    for value in (b"a", b"b"):
        history.sent(value, producer="one", partition=PLACE)
    assert finish(history, b"b", b"a") == ["nonmonotonic-send"]


def test_nonmonotonic_poll_between_polls_of_a_reader(history):
    history.polled("reader", PLACE, [(1, b"b")])
    assert finish(history, b"a", b"b", b"c") == ["nonmonotonic-poll"]


def test_nonmonotonic_poll_within_a_poll_and_in_the_final_read(history):
    history.polled("other", PLACE, [(1, b"b"), (0, b"a")])
    history.read_whole(PLACE, [(0, b"a"), (2, b"c"), (1, b"b")], dense=False)
    assert [each.name for each in history.check()] == ["nonmonotonic-poll"] * 2
    history.read_whole(PLACE, [(0, b"a"), (1, b"b"), (2, b"c"), (2, b"c")])
    names = [each.name for each in history.check()]
    assert names.count("nonmonotonic-poll") == 2


def test_a_reader_that_begins_anew_may_go_back(history):
    history.positioned("reader", PLACE)
    history.polled("reader", PLACE, [(1, b"b")])
    history.positioned("reader", PLACE, 0)
    history.polled("reader", PLACE, [(0, b"a")])
    assert finish(history, b"a", b"b", b"c") == []


def test_poll_skip_of_a_reader(history):
    history.sent(b"d", producer="two", partition=PLACE)
    history.polled("reader", PLACE, [(3, b"d")])
    assert finish(history, b"a", b"b", b"c", b"d") == ["poll-skip"]


def test_poll_skip_past_the_place_where_it_was_told_to_begin(history):
    history.positioned("other", PLACE, 0)
    history.polled("other", PLACE, [(1, b"b")])
    assert finish(history, b"a", b"b", b"c") == ["poll-skip"]


def test_no_poll_skip_over_offsets_that_hold_no_record(history):
    history.sent(b"d", producer="two", partition=PLACE)
    history.polled("reader", PLACE, [(2, b"c"), (4, b"d")])
    assert finish(history, b"a", b"b", b"c", None, b"d", dense=False) == []


def test_poll_skip_of_a_hole_in_the_log(history):
    history.sent(b"d", producer="two", partition=PLACE)
    assert finish(history, b"a", b"b", b"c", None, b"d") == ["poll-skip"]


def test_aborted_read_of_a_send_that_failed(history):
    history.sent(b"d", producer="two", partition=PLACE)
    history.failed(b"d")
    assert finish(history, b"a", b"b", b"c", b"d") == ["G1a"]


def test_phantom(history):
    assert finish(history, b"a", b"b", b"c", b"never sent") == ["phantom"]


def test_phantom_of_a_value_in_another_partition(history):
    history.sent(b"d", producer="two", partition=("orders", 1))
    assert finish(history, b"a", b"b", b"c", b"d") == ["phantom"]


def test_unprocessed(history):
    history.polled("member-1", PLACE, [(0, b"a")], group="group")
    history.polled("member-2", PLACE, [(2, b"c")], group="group")
    history.commits.committed(history.commits.committing("group", PLACE, 3))
    assert finish(history, b"a", b"b", b"c") == ["unprocessed"]


def test_what_a_group_found_deleted_may_be_there_again(history):
    history.deletable(PLACE, 1)
    history.polled("member", PLACE, [(2, b"c")], group="group")
    history.commits.committed(history.commits.committing("group", PLACE, 3))
    found = finish(history, b"a", b"b", b"c")
    assert found == ["unprocessed"], "the record at 1, which nobody asked to be deleted"


def test_a_group_that_was_given_all_below_its_commit(history):
    history.polled("member-1", PLACE, [(0, b"a")], group="group")
    history.polled("member-2", PLACE, [(0, b"a"), (1, b"b")], group="group")
    history.commits.committed(history.commits.committing("group", PLACE, 2))
    history.commits.committed(history.commits.committing("without polls", PLACE, 3))
    assert finish(history, b"a", b"b", b"c") == []


def test_lost_commit(history):
    history.commits.committed(history.commits.committing("group", PLACE, 3))
    history.commits.fetched(history.commits.fetching("group", PLACE), 2)
    assert finish(history, b"a", b"b", b"c") == ["lost-commit"]


def test_what_lies_before_the_log_start_was_deleted(history):
    assert finish(history, b"c", start=2) == []


def test_a_partition_without_a_final_read_is_judged_by_what_was_noticed(history):
    history.polled("reader", PLACE, [(1, b"c")])
    assert [each.name for each in history.check()] == ["nonmonotonic-poll", "inconsistent-offsets"]


def test_what_was_promised_the_page_cache_only_is_forgiven_after_a_power_cut(history):
    history.sent(b"d", producer="two", partition=PLACE)
    history.polled("reader", PLACE, [(2, b"c"), (3, b"d")])
    history.forgive(PLACE)
    history.polled("reader", PLACE, [(0, b"a"), (1, b"d")])
    assert finish(history, b"a", b"d") == []


def test_what_lay_past_an_offset_is_forgotten_and_what_lay_below_is_not(history):
    history.polled("reader", PLACE, [(2, b"c")])
    history.forget_from(PLACE, 1)
    assert finish(history, b"a", b"c") == []
    assert finish(history, b"c") == ["lost-write", "inconsistent-offsets"]


def test_an_explanation_has_the_anomalies_and_what_happened(history):
    history.note("kill 1")
    text = history.explain([Anomaly("unseen", "c")])
    assert text == "unseen: c\n1 anomalies\nkill 1"


def test_values_are_unique(history):
    with pytest.raises(AssertionError, match="unique"):
        history.sent(b"a", producer="one", partition=PLACE)
