"""Groups of different clients."""

from __future__ import annotations

from contextlib import ExitStack

from interop_tests.client import Client, Drivers
from interop_tests.clients import CLIENTS
from interop_tests.groups import Stream, wait_for_share, wait_for_values
from interop_tests.scenarios import scenario


@scenario("leads a group of all clients with one assignor, and leaves it to the others")
def test_all_in_one_group(
    client: Client, drivers: Drivers, reference: Client, topic_name: str
) -> None:
    partitions = 2 * len(CLIENTS)
    reference.create_served_topic(topic_name, partitions=partitions)
    stream = Stream(reference, topic_name, partitions)
    group = f"of all {topic_name}"
    others = [spec for spec in CLIENTS if spec is not client.spec]
    with ExitStack() as stack:
        leader = stack.enter_context(client.member(group, topic_name))
        wait_for_share([leader], partitions)
        members = [leader]
        for spec in others:
            other = drivers.client(spec, client.bootstrap)
            members.append(stack.enter_context(other.member(group, topic_name)))
        wait_for_share(members, partitions, stream)
        stream.flow(partitions)
        wait_for_values(members, stream.values)  # kcat commits as it leaves what it has not printed
        leader.leave()
        wait_for_share(members[1:], partitions, stream)
        stream.flow(partitions)
        wait_for_values(members, stream.values)
