"""What a broker owes, and when it owes it no longer: each bound broken by hand."""

import pytest

from simulator.history import Fate
from simulator.invariant_error import InvariantError
from simulator.ledger import Ledger

PLACE = ("load", 0)


@pytest.fixture
def ledger() -> Ledger:
    """Four records were acknowledged at 0 to 3, in page-cache durability."""
    ledger = Ledger()
    ledger.promise(PLACE, is_flushed=False)
    for offset in range(4):
        value = f"v{offset}".encode()
        ledger.history.sent(value, producer="p", partition=PLACE)
        ledger.acknowledged(value, PLACE, offset, ledger.bounds(PLACE))
    return ledger


def test_the_high_watermark_is_past_what_was_acknowledged(ledger) -> None:
    ledger.saw_high_watermark(PLACE, 4, ledger.bounds(PLACE))
    with pytest.raises(InvariantError, match="the high watermark is"):
        ledger.saw_high_watermark(PLACE, 3, ledger.bounds(PLACE))


def test_an_answer_that_was_on_its_way_may_be_behind(ledger) -> None:
    since = ledger.bounds(PLACE)
    ledger.saw_high_watermark(PLACE, 9, ledger.bounds(PLACE))
    ledger.saw_high_watermark(PLACE, 4, since)


def test_the_log_start_only_advances_and_only_where_records_were_deleted(ledger) -> None:
    with pytest.raises(InvariantError, match="nobody deleted"):
        ledger.saw_log_start(PLACE, 2, ledger.bounds(PLACE))
    ledger.deleting(PLACE, 2)
    ledger.saw_log_start(PLACE, 2, ledger.bounds(PLACE))
    with pytest.raises(InvariantError, match="fell"):
        ledger.saw_log_start(PLACE, 1, ledger.bounds(PLACE))


def test_a_log_start_that_nobody_was_promised_holds_while_the_broker_lives() -> None:
    ledger = Ledger()
    ledger.promise(PLACE, is_flushed=True)
    ledger.deleting(PLACE, 5)
    ledger.deleted(PLACE, 2, ledger.bounds(PLACE))
    ledger.saw_log_start(PLACE, 5, ledger.bounds(PLACE))  # by a Fetch, before it is durable
    with pytest.raises(InvariantError):
        ledger.saw_log_start(PLACE, 2, ledger.bounds(PLACE))
    late = ledger.bounds(PLACE)
    ledger.broker_ended(None, pages_lost=False)
    ledger.saw_log_start(PLACE, 5, late)  # what was on its way when it died
    ledger.saw_log_start(PLACE, 2, ledger.bounds(PLACE))
    with pytest.raises(InvariantError):
        ledger.saw_log_start(PLACE, 1, ledger.bounds(PLACE))


def test_the_death_of_the_process_alone_excuses_nothing(ledger) -> None:
    ledger.broker_ended(None, pages_lost=False)
    assert ledger.history.sends[b"v3"].fate is Fate.OK


def test_a_power_loss_takes_what_lies_past_the_last_flush(ledger) -> None:
    since = ledger.bounds(PLACE)
    ledger.forget_from(PLACE, 2)
    fates = [ledger.history.sends[f"v{offset}".encode()].fate for offset in range(4)]
    assert fates == [Fate.OK, Fate.OK, Fate.UNKNOWN, Fate.UNKNOWN]
    ledger.saw_high_watermark(PLACE, 2, ledger.bounds(PLACE))
    ledger.saw_high_watermark(PLACE, 0, since)  # asked for before it


def test_a_power_loss_excuses_nothing_that_was_flushed() -> None:
    ledger = Ledger()
    ledger.promise(PLACE, is_flushed=True)
    ledger.broker_ended(None, pages_lost=True)
    assert ledger.bounds(PLACE).losses == 0


def test_commits_in_the_page_cache_are_owed_until_the_power_goes(ledger) -> None:
    commits = ledger.history.commits
    for groups_flushed, wrong in ((True, 1), (False, 0)):
        ledger.groups_flushed = groups_flushed
        commits.wrong.clear()
        commits.committed(commits.committing("g", PLACE, 7))
        ledger.broker_ended(None, pages_lost=True)
        commits.committing("g", PLACE, None)
        commits.fetched(commits.fetching("g", PLACE), 3 if groups_flushed else None)
        assert len(commits.wrong) == wrong
