"""What etcd's refusals mean (pure): the table of its messages that say what became of a request.

A message that is not in the table leaves it open, as one of a server that stops or of a leader
that changes does. The messages are those of etcd's `rpctypes/error.go`, the same in 3.4 to 3.6; the
codes are gRPC's.

Counterpart: `etcd_gateway.py`.
"""

from __future__ import annotations

from enum import Enum

from kbroker.cluster.etcd_messages import Message
from kbroker.cluster.metadata_store import MetadataStoreError


class Refusal(Enum):
    """All but UNKNOWN: nothing was changed."""

    LEASE_GONE = "the lease is gone"
    COMPACTED = "the revision was compacted"
    FUTURE = "the revision has not been reached"
    FULL = "there is no room"
    TOKEN = "the token is not valid any more"
    ELSEWHERE = "this member does nothing now, another may"
    NEVER = "asking again does not help"
    UNKNOWN = "it may have been done"


class EtcdError(MetadataStoreError):
    """What etcd answered instead of doing it. `code` is gRPC's."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"etcd: {detail.removeprefix('etcdserver: ')}")
        self.grpc_code = code
        self.refusal = refusal_of(code, detail)


def error_of(answer: Message) -> EtcdError:
    """Of the body of an answer whose status is not 200."""
    return EtcdError(answer.integer("code"), answer.text("message") or answer.text("error"))


def error_of_stream(answer: Message) -> EtcdError:
    """Of a line {"error": {...}} of a stream: 3.4 and 3.5 name the code otherwise than 3.6."""
    error = answer.message("error")
    code = error.integer("code") or error.integer("grpc_code")
    return EtcdError(code, error.text("message"))


def refusal_of(code: int, detail: str) -> Refusal:
    for words, refusal in _MEANINGS:
        if words in detail:
            return refusal
    return _CODES.get(code, Refusal.UNKNOWN)


_MEANINGS = (
    ("requested lease not found", Refusal.LEASE_GONE),
    ("required revision has been compacted", Refusal.COMPACTED),
    ("required revision is a future revision", Refusal.FUTURE),
    ("database space exceeded", Refusal.FULL),
    ("invalid auth token", Refusal.TOKEN),
    ("revision of auth store is old", Refusal.TOKEN),
    ("user name is empty", Refusal.TOKEN),
    ("etcdserver: no leader", Refusal.ELSEWHERE),
    ("etcdserver: too many requests", Refusal.ELSEWHERE),
    ("rpc not supported for learner", Refusal.ELSEWHERE),
    ("etcdserver: not capable", Refusal.NEVER),
    ("etcdserver: corrupt cluster", Refusal.ELSEWHERE),
    ("etcdserver: request is too large", Refusal.NEVER),
    ("etcdserver: too many operations in txn request", Refusal.NEVER),
    ("etcdserver: duplicate key given in txn request", Refusal.NEVER),
    ("etcdserver: authentication failed", Refusal.NEVER),
    ("etcdserver: permission denied", Refusal.NEVER),
)
_CODES = {3: Refusal.NEVER, 7: Refusal.NEVER, 12: Refusal.NEVER}
"""INVALID_ARGUMENT, PERMISSION_DENIED, UNIMPLEMENTED: it was looked at before it was proposed."""
