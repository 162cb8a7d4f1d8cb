"""Fail-over times and unavailability from when records were acknowledged."""

import pytest

from tests.chaos.measures import Acknowledgements, fail_over_figures, quantile


@pytest.fixture
def acks() -> Acknowledgements:
    return Acknowledgements(2)


def test_an_answer_that_was_under_way_is_no_fail_over(acks):
    acks.add(0, sent_s=9.9, acked_s=10.1)
    assert acks.first_after(0, 10.0) is None
    acks.add(0, sent_s=10.05, acked_s=16.5)
    acks.add(0, sent_s=10.2, acked_s=16.6)
    assert acks.first_after(0, 10.0) == 16.5
    assert acks.first_after(1, 10.0) is None


def test_the_longest_time_without_a_record_lies_within_bounds(acks):
    for moment in (1.0, 8.0, 9.0, 30.0):
        acks.add(1, moment, moment)
    assert acks.longest_gap(1, 0.0, 10.0) == 7.0
    assert acks.longest_gap(1, 8.5, 9.5) == 0.5
    assert acks.longest_gap(1, 8.5, 20.0) == 11.0, "up to the end"
    assert acks.longest_gap(0, 0.0, 5.0) == 5.0, "nothing at all"


def test_quantiles():
    assert quantile([], 0.5) is None
    assert quantile([3.0], 0.99) == 3.0
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert quantile([float(each) for each in range(1, 201)], 0.99) == 198.0


def test_figures_say_whether_the_promise_is_kept():
    found = fail_over_figures([5.0, 6.5, 7.9], lease_s=6.0)
    assert found == {
        "fail_overs": 3,
        "fail_over_p50_ms": 6500,
        "fail_over_p99_ms": 7900,
        "fail_over_bound_ms": 8000,
        "fail_over_is_within_bound": True,
    }
    assert fail_over_figures([8.5], lease_s=6.0)["fail_over_is_within_bound"] is False
    assert fail_over_figures([], lease_s=6.0) == {"fail_overs": 0}
