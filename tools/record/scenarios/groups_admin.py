"""DescribeGroups, ListGroups and DeleteGroups, in every state that a group can be in."""

from tools.record.group_requests import (
    Member,
    delete_groups,
    describe,
    heartbeat,
    join,
    list_groups,
    member_of,
    stable_group,
    sync,
    wait_for_state,
)
from tools.record.player import Pending, Player
from tools.record.requests import commit_part, offset_commit, offset_fetch
from wire.messages.delete_groups import DeleteGroupsRequest
from wire.messages.describe_groups import DescribeGroupsRequest
from wire.messages.list_groups import ListGroupsRequest

STATES = (
    "Empty",
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Assigning",
    "Reconciling",
    "NotReady",
    "Unknown",
)


def _one_of_each(kafka: Player, prefix: str) -> tuple[list[str], Pending]:
    """Groups in every state, by name; and the join that the second of them waits for."""
    member = member_of(kafka, f"{prefix}-empty")
    member.leave()
    first, second = (
        Member(kafka, f"{prefix}-preparing", "p"),
        Member(kafka, f"{prefix}-preparing", "q"),
    )
    stable_group(first)
    pending = second.begin_join()
    wait_for_state(kafka, first.group, "PreparingRebalance")
    Member(kafka, f"{prefix}-completing", "c").join()
    stable_group(Member(kafka, f"{prefix}-stable", "s", instance="i"))
    kafka.setup_topic(f"{prefix}-topic")
    kafka.setup_send(offset_commit(f"{prefix}-simple", commit_part(f"{prefix}-topic", 5)), 8)
    kafka.setup_send(join(f"{prefix}-pending"), 9)
    names = ["empty", "preparing", "completing", "stable", "simple", "pending", "unknown"]
    return [f"{prefix}-{name}" for name in names], pending


def described(kafka: Player) -> None:
    """Every version of DescribeGroups, of groups in every state and of groups that are none."""
    kafka.setup_offsets_topic()
    groups, _ = _one_of_each(kafka, "described")
    for version in DescribeGroupsRequest.VERSIONS:
        kafka.send(f"version {version}", describe(*groups), version)
    kafka.send("nothing", describe(), 5)
    kafka.send("a group twice", describe("described-stable", "described-stable"), 5)
    for version in (3, 4, 5, 6):
        request = describe("described-stable", "described-unknown", operations=True)
        kafka.send(f"with operations, version {version}", request, version)


def listed(kafka: Player) -> None:
    """Every version of ListGroups; by state and by type, also of states and types that are none."""
    kafka.setup_offsets_topic()
    groups, _ = _one_of_each(kafka, "listed")
    kafka.only_groups(*groups)
    for version in ListGroupsRequest.VERSIONS:
        kafka.send(f"version {version}", list_groups(), version)
    for state in (*STATES, "stable", "STABLE", "Nonsense", ""):
        kafka.send(f"state {state!r}", list_groups([state]), 4)
    kafka.send("two states", list_groups(["Stable", "Empty"]), 5)
    kafka.send("a state and nonsense", list_groups(["Stable", "Nonsense"]), 5)
    kafka.send("a state twice", list_groups(["Stable", "Stable"]), 5)
    for kind in ("classic", "Classic", "consumer", "share", "streams", "unknown", "nonsense", ""):
        kafka.send(f"type {kind!r}", list_groups(types=[kind]), 5)
    kafka.send("two types", list_groups(types=["consumer", "classic"]), 5)
    kafka.send("state and type", list_groups(["Stable"], ["classic"]), 5)
    kafka.send("state and another type", list_groups(["Stable"], ["consumer"]), 5)


def deleted_versions(kafka: Player) -> None:
    """Every version of DeleteGroups, on groups in every state."""
    kafka.setup_offsets_topic()
    for version in DeleteGroupsRequest.VERSIONS:
        groups, _ = _one_of_each(kafka, f"deleted-{version}")
        kafka.send(f"version {version}", delete_groups(*groups), version)
        kafka.send(f"version {version}, once more", delete_groups(*groups), version)
        kafka.send(f"version {version}, what is left", describe(*groups), 5)
        kafka.close()
    kafka.send("nothing", delete_groups(), 2)


def deleted(kafka: Player) -> None:
    """A group that is deleted is as if it had never been, and may be made again."""
    kafka.setup_offsets_topic()
    kafka.setup_topic("deleted-topic")
    part = commit_part("deleted-topic", 5)
    member = Member(kafka, "deleted-group", "a")
    member.join("joins")
    member.sync("syncs", member)
    member.commit("commits", part)
    kafka.send("deleted with a member", delete_groups("deleted-group"), 2)
    member.leave("leaves")
    kafka.send("offsets are there", offset_fetch("deleted-group", None, version=8), 8)
    kafka.send("deleted", delete_groups("deleted-group"), 2)
    kafka.send("deleted again", delete_groups("deleted-group"), 2)
    kafka.send("offsets are gone", offset_fetch("deleted-group", None, version=8), 8)
    kafka.send("described", describe("deleted-group"), 6)
    kafka.only_groups("deleted-group")
    kafka.send("listed", list_groups(), 5)
    kafka.send("its member beats", heartbeat("deleted-group", member.member_id, 1), 4)
    kafka.send("its member syncs", sync("deleted-group", member.member_id, 1), 5)
    kafka.send("its member joins", join("deleted-group", member=member.member_id), 9)
    member.member_id = ""
    member.join("joins anew")
    kafka.send("described anew", describe("deleted-group"), 6)
    simple = offset_commit("deleted-simple", part)
    kafka.setup_send(simple, 8)
    kafka.send("a group twice", delete_groups("deleted-simple", "deleted-simple"), 2)
    kafka.setup_send(simple, 8)
    kafka.send("made again: offsets", offset_fetch("deleted-simple", None, version=8), 8)


SCENARIOS = {
    "groups_admin/described": described,
    "groups_admin/listed": listed,
    "groups_admin/deleted_versions": deleted_versions,
    "groups_admin/deleted": deleted,
}
