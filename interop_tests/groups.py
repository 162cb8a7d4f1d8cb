"""What scenarios of groups wait for: that partitions are shared out, that records have come, that
they are committed. Every wait looks at the members again and again, and has a deadline."""

from __future__ import annotations

from collections.abc import Sequence

from interop_tests.client import Client, Member
from interop_tests.drivers.protocol import ClientError, Deadline, Record

WAIT_S = 30.0
"""Far longer than a rebalance takes; reaching it fails the scenario."""
BURST = 8


class Stream:
    """Values that were never used before, spread over a topic's partitions. Mutable: what was
    sent."""

    def __init__(self, client: Client, topic: str, partitions: int) -> None:
        self.values: list[bytes] = []
        self._client = client
        self._topic = topic
        self._partitions = partitions

    def flow(self, count: int = BURST) -> None:
        """Sends some more, and returns when the broker has them."""
        first = len(self.values)
        records = [
            Record(b"value %d" % number, partition=number % self._partitions)
            for number in range(first, first + count)
        ]
        self._client.produce(self._topic, records)
        self.values += [record.value or b"" for record in records]


def wait_for_share(
    members: Sequence[Member], partitions: int, stream: Stream | None = None
) -> None:
    """Until each partition is one member's, and no member has two more than another; meanwhile the
    stream flows."""
    deadline = Deadline(WAIT_S)
    while True:
        _look(members)
        owned = sorted(partition for member in members for partition in member.assigned)
        sizes = [len(member.assigned) for member in members]
        if owned == list(range(partitions)) and max(sizes) - min(sizes) <= 1:
            return
        if stream is not None:
            stream.flow()
        deadline.check(f"shared out as {[member.assigned for member in members]}")


def wait_for_values(members: Sequence[Member], values: Sequence[bytes]) -> None:
    """Until the members, those that are gone included, have received every value, once or more."""
    deadline = Deadline(WAIT_S)
    while missing := set(values).difference(received_values(members)):
        _look(members)
        deadline.check(f"{len(missing)} of {len(values)} never came, such as {min(missing)!r}")


def received_values(members: Sequence[Member]) -> list[bytes]:
    return [record.value or b"" for member in members for record in member.received]


def wait_for_commits(reference: Client, group: str, topic: str, partitions: int) -> None:
    """Until the group has committed the end of each partition."""
    ends = {at: reference.list_offset(topic, "latest", at) for at in range(partitions)}
    wanted = {at: end for at, end in ends.items() if end}
    deadline = Deadline(WAIT_S)
    while (found := committed_offsets(reference, group, topic, partitions)) != wanted:
        deadline.check(f"committed {found} of {wanted}")


def committed_offsets(reference: Client, group: str, topic: str, partitions: int) -> dict[int, int]:
    deadline = Deadline(WAIT_S)
    while True:
        try:
            answer = reference.committed(group, topic, list(range(partitions)))
            break
        except ClientError as error:
            # The library begins with any of the addresses that it was given: that of a broker that
            # was killed ends the call.
            if not error.name.endswith("ConnectionError"):
                raise
            deadline.check(str(error))
    return {at: found[0] for at, found in answer.items() if found is not None}


def wait_for_error(member: Member) -> str:
    """The name of the error that ended the member."""
    deadline = Deadline(WAIT_S)
    while member.error is None:
        member.look()
        deadline.check("no error")
    return member.error


def _look(members: Sequence[Member]) -> None:
    for member in members:
        if not member.is_gone:
            assert member.error is None, f"a member ended: {member.error}"
            member.look()
