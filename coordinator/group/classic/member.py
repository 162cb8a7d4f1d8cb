"""A member of a classic group, as the coordinator knows it."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import NamedTuple

from coordinator.group.settings import Client
from coordinator.outcome import Ticket


class MemberProtocol(NamedTuple):
    """One way to assign that a member understands, and what it has to say to its leader."""

    name: str
    metadata: bytes


class ParkedJoin(NamedTuple):
    """A JoinGroup that waits, and the version that its answer has to have."""

    ticket: Ticket
    version: int


class ClassicMember:
    """One member: what is stored of it, and the requests of its own that wait. Mutable.

    Members change only through their group, which counts who waits for a join.
    """

    __slots__ = (
        "assignment",
        "client",
        "group_instance_id",
        "is_new",
        "member_id",
        "parked_join",
        "protocols",
        "rebalance_timeout_ms",
        "session_timeout_ms",
        "sync_ticket",
    )

    def __init__(
        self,
        member_id: str,
        *,
        group_instance_id: str | None,
        client: Client,
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
        protocols: Sequence[MemberProtocol],
        assignment: bytes = b"",
    ) -> None:
        self.member_id = member_id
        self.group_instance_id = group_instance_id
        self.client = client
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.session_timeout_ms = session_timeout_ms
        self.protocols = tuple(protocols)
        self.assignment = assignment
        self.parked_join: ParkedJoin | None = None
        self.sync_ticket: Ticket | None = None
        self.is_new = False
        """Has never been answered a join: a session timeout removes it even while it waits."""

    @property
    def is_awaiting_join(self) -> bool:
        return self.parked_join is not None

    @property
    def is_alive_unheard(self) -> bool:
        """Whether it need not heartbeat: it waits for an answer, and has been a member before."""
        if self.is_new:
            return False
        return self.parked_join is not None or self.sync_ticket is not None

    def metadata(self, protocol_name: str | None) -> bytes:
        """What it said for that protocol, which it must have named."""
        for protocol in self.protocols:
            if protocol.name == protocol_name:
                return protocol.metadata
        raise AssertionError(f"{self.member_id} does not know the protocol {protocol_name}")

    def vote(self, candidates: Set[str]) -> str:
        """The first of its protocols that is among `candidates`."""
        for protocol in self.protocols:
            if protocol.name in candidates:
                return protocol.name
        raise AssertionError(f"{self.member_id} knows none of {sorted(candidates)}")
