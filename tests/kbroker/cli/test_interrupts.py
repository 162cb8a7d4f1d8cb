"""Ctrl-C while something must be finished: later, but not lost."""

import signal

import pytest

from kbroker.cli.interrupts import holding_interrupts


def interrupted(times: int, done: list[str], error: type[BaseException] | None = None) -> None:
    """What a block does while Ctrl-C is pressed so often."""
    with holding_interrupts():
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        done.append("printed")
        if error is not None:
            raise error
    done.append("went on")


def test_an_interrupt_comes_when_the_block_is_done():
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(1, done)
    assert done == ["printed"]


def test_a_second_one_comes_at_once():
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(2, done)
    assert not done


def test_a_failure_is_not_hidden_and_afterwards_all_is_as_before():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(BrokenPipeError):
        interrupted(1, [], BrokenPipeError)
    assert signal.getsignal(signal.SIGINT) is before


def test_without_one_nothing_happens():
    done: list[str] = []
    interrupted(0, done)
    assert done == ["printed", "went on"]
