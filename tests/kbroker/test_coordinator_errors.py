"""Every refusal of a partition has a word that members of groups understand."""

import pytest

from kbroker.coordinator_errors import as_coordinator_error, as_read_error
from wire.errors import ErrorCode


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
        (ErrorCode.RECORD_LIST_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
def test_a_failed_append_in_the_words_of_groups(code, told):
    assert as_coordinator_error(code) == told


def test_whoever_reads_looks_for_the_coordinator_again():
    assert as_read_error(ErrorCode.REQUEST_TIMED_OUT) == ErrorCode.NOT_COORDINATOR
