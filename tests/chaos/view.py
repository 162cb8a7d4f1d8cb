"""What brokers of the cluster tell when they are asked: leaders, replicas in sync, records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.process.raw_client import Disconnected, RawClient
from tests.soak.scene import TOPIC
from wire.errors import ErrorCode
from wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse

ANSWER_S = 10.0
OFFSETS_TOPIC = "__consumer_offsets"
Address = tuple[str, int]
Partition = tuple[str, int]
UNREACHED = (OSError, Disconnected, AssertionError)


@contextmanager
def asking(address: Address) -> Iterator[RawClient]:
    """A client that waits for a while only."""
    with RawClient(address) as client:
        client.socket.settimeout(ANSWER_S)
        yield client


@dataclass(frozen=True, slots=True)
class View:
    """What one broker tells."""

    brokers: dict[int, Address]
    leaders: dict[Partition, int]
    in_sync: dict[Partition, tuple[int, ...]]

    def led_by(self, broker: int) -> list[int]:
        """Indexes of the partitions of the topic."""
        return sorted(
            index
            for (topic, index), leader in self.leaders.items()
            if topic == TOPIC and leader == broker
        )

    def lacks(self, count: int) -> list[str]:
        """What keeps it from being whole, with so many brokers."""
        found = [] if len(self.brokers) == count else [f"brokers {sorted(self.brokers)}"]
        for place, members in sorted(self.in_sync.items()):
            if len(members) != count or self.leaders[place] < 0:
                found.append(f"{place[0]}-{place[1]}: leader {self.leaders[place]}, ISR {members}")
        return found


def view_of(address: Address) -> View:
    """UNREACHED, or one of those."""
    with asking(address) as client:
        answer = client.metadata(TOPIC, OFFSETS_TOPIC)
    leaders, in_sync = {}, {}
    for topic in answer.topics:
        if topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION and topic.name != TOPIC:
            continue
        assert topic.error_code == 0, topic
        assert topic.name is not None
        for each in topic.partitions:
            leaders[topic.name, each.partition_index] = each.leader_id
            in_sync[topic.name, each.partition_index] = tuple(sorted(each.isr_nodes))
    brokers = {each.node_id: (each.host, each.port) for each in answer.brokers}
    return View(brokers, leaders, in_sync)


def coordinator_of(group: str, addresses: Sequence[Address]) -> Address:
    """UNREACHED while there is none."""
    with asking(addresses[0]) as client:
        request = FindCoordinatorRequest(coordinator_keys=[group])
        (found,) = client.ask(request, 6, FindCoordinatorResponse).coordinators
    assert found.error_code == 0, ErrorCode(found.error_code).name
    return found.host, found.port
