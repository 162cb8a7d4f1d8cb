"""What members of groups are told when their coordinator's partition refuses (pure)."""

from __future__ import annotations

from wire.errors import ErrorCode


def as_coordinator_error(code: ErrorCode) -> ErrorCode:
    """What a failed append means to a member of a group (as Kafka translates it)."""
    if code in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR):
        return ErrorCode.NOT_COORDINATOR
    if code in (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE):
        return ErrorCode.UNKNOWN_SERVER_ERROR
    return ErrorCode.COORDINATOR_NOT_AVAILABLE


def as_read_error(code: ErrorCode) -> ErrorCode:
    """Consumers before 3.9 take nothing else for a reason to ask again, as Kafka has it."""
    return ErrorCode.NOT_COORDINATOR
