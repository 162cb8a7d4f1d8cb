"""`kbroker cluster status`: brokers, leaders, in-sync replicas, the controller, and etcd.

Counterparts: `cluster_facts` (what is counted), `cluster_etcd` (asks etcd).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn, TypedDict

import click

from kbroker.cli.cluster_etcd import EtcdHealth, ask_health
from kbroker.cli.cluster_facts import TROUBLES, ClusterFacts, count_up
from kbroker.cli.configs import TYPES
from kbroker.cli.connection import (
    CommandError,
    Target,
    explain,
    open_admin,
    pause,
    remote,
    retried,
    send,
)
from kbroker.cli.tables import layout, show_json, terminal_width
from kbroker.cli.topic_names import describe_topics
from kbroker.config.metadata_keys import SQLITE, parse_metadata

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

MIN_ISR = "min.insync.replicas"
METADATA = "kbroker.metadata"
MOST_TROUBLED = 20
"""Partitions that are told one by one; the totals count all."""
ETCD_TIMEOUT_S = 2.0
TOPICS_AT_ONCE = 1_000


class Member(TypedDict):
    """A member of etcd. `error` is None where it answered."""

    endpoint: str
    version: str | None
    size_bytes: int | None
    revision: int | None
    leader: bool
    error: str | None


class Status(TypedDict):
    """Everything that is shown. `metadata`: where it lies, None where no broker tells it."""

    cluster: ClusterFacts
    metadata: str | None
    etcd: list[Member]


def check_metadata(
    context: click.Context | None, parameter: click.Parameter | None, value: str | None
) -> str | None:
    """The value of --metadata; BadParameter."""
    try:
        parse_metadata(value or SQLITE)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None
    return value


@click.command("status", short_help="Brokers, leaders, in-sync replicas, controller, etcd.")
@click.option(
    "--metadata",
    metavar="etcd://HOST:PORT,...",
    callback=check_metadata,
    help="The etcd to ask how it is.  [default: what a broker is configured with]",
)
@click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1, max=3600),
    metavar="SECONDS",
    default=2.0,
    show_default=True,
    help="For --watch.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@remote
def status(
    target: Target, *, metadata: str | None, watch: bool, interval: float, as_json: bool
) -> int:
    """Show the brokers of a cluster, what they lead and hold, its controller, and its etcd.

    Partitions that lack a replica or a leader are named, the worst first.
    """
    if not watch:
        with open_admin(target) as admin:
            found = retried(target, lambda: find_status(admin, metadata))
        if as_json:
            show_json(found)
        else:
            click.echo(status_text(found, width=terminal_width()), nl=False)
        return 0
    try:
        with ExitStack() as stack:
            show = _show_json_again if as_json else _show_text_again(stack)
            _watch(target, metadata, interval, show)
    except KeyboardInterrupt:
        return 0


def _watch(
    target: Target, metadata: str | None, interval: float, show: Callable[[Status | str], None]
) -> NoReturn:
    """For ever. A cluster that cannot be asked is shown as that, and asked again."""
    from kafka.errors import KafkaError

    while True:
        try:
            with open_admin(target) as admin:
                while True:
                    show(retried(target, lambda: find_status(admin, metadata)))
                    pause(interval)
        except CommandError as error:
            show(str(error))
        except KafkaError as error:
            show(explain(error, target))
        pause(interval)


def _show_json_again(found: Status | str) -> None:
    show_json({"error": found} if isinstance(found, str) else found)


def _show_text_again(stack: ExitStack) -> Callable[[Status | str], None]:
    """On a terminal in one place; elsewhere one after the other, with an empty line between."""

    def text(found: Status | str) -> str:
        if isinstance(found, str):
            return f"{found}\n"
        return status_text(found, width=terminal_width())

    if not sys.stdout.isatty():
        return lambda found: click.echo(text(found))
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    live = stack.enter_context(Live(console=Console(), auto_refresh=False))
    return lambda found: live.update(Text.from_ansi(text(found)), refresh=True)


def find_status(admin: KafkaAdminClient, metadata: str | None) -> Status:
    """How the cluster is now. CommandError, KafkaError."""
    topics = describe_topics(admin, None)
    cluster = count_up(
        admin.describe_cluster(), topics, find_min_isr(admin, [each["name"] for each in topics])
    )
    if metadata is None:
        up = [each["id"] for each in cluster["brokers"] if each["state"] == "up"]
        metadata = find_metadata(admin, up)
    return Status(cluster=cluster, metadata=metadata, etcd=ask_members(metadata))


def find_min_isr(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    """Of each topic that still exists."""
    found = {}
    for start in range(0, len(names), TOPICS_AT_ONCE):
        for name, value in _ask_setting(
            admin, "topic", names[start : start + TOPICS_AT_ONCE], MIN_ISR
        ):
            found[name] = int(value)
    return found


def find_metadata(admin: KafkaAdminClient, broker_ids: Sequence[int]) -> str | None:
    """Where the first of these brokers that answers has the metadata; None: it does not say, as
    Apache Kafka does not, or none answers. One may have died, and not be missed yet."""
    from kafka.errors import KafkaConnectionError, NodeNotReadyError, UnknownBrokerIdError

    for broker_id in broker_ids:
        try:
            found = _ask_setting(admin, "broker", [str(broker_id)], METADATA, node_id=broker_id)
        except (KafkaConnectionError, NodeNotReadyError, UnknownBrokerIdError):
            continue
        return found[0][1] if found else None
    return None


def _ask_setting(
    admin: KafkaAdminClient,
    kind: str,
    names: Sequence[str],
    key: str,
    node_id: int | None = None,
) -> list[tuple[str, str]]:
    """One setting of each of these that has it, by name."""
    from kafka.protocol.admin import DescribeConfigsRequest

    request = DescribeConfigsRequest(
        resources=[(TYPES[kind], name, [key]) for name in names],
        include_synonyms=False,
        include_documentation=False,
    )
    return [
        (str(result.resource_name), str(entry.value))
        for result in send(admin, request, node_id).results
        if not result.error_code
        for entry in result.configs
        if entry.name == key and entry.value is not None
    ]


def ask_members(metadata: str | None) -> list[Member]:
    """How each member of that etcd is; none where the metadata are elsewhere."""
    url = parse_metadata(metadata or SQLITE)
    if url is None:
        return []
    return [
        _member(ask_health(host, port, ETCD_TIMEOUT_S, has_tls=url.has_tls))
        for host, port in url.endpoints
    ]


def _member(health: EtcdHealth) -> Member:
    answered = not health.error
    return Member(
        endpoint=health.endpoint,
        version=health.version if answered else None,
        size_bytes=health.size_bytes if answered else None,
        revision=health.revision if answered else None,
        leader=health.is_leader,
        error=health.error or (None if health.has_leader else "it has no leader"),
    )


def status_text(found: Status, *, width: int | None) -> str:
    """Tables for people, of `width` columns; None: each row is one line."""
    cluster = found["cluster"]
    parts = [
        f"Cluster {cluster['cluster_id']}, {_controller(cluster)}\n",
        layout(
            ("BROKER", "ADDRESS", "RACK", "LEADERS", "REPLICAS", "IN SYNC", "STATE"),
            [
                (
                    each["id"],
                    each["address"],
                    each["rack"],
                    each["leaders"],
                    each["replicas"],
                    each["in_sync"],
                    "controller" if each["id"] == cluster["controller"] else each["state"],
                )
                for each in cluster["brokers"]
            ],
            width=width,
        ),
        "\n",
        layout(
            ("TOPICS", "PARTITIONS", "UNDER-REPLICATED", "UNDER MIN ISR", "LEADERLESS"),
            [
                (
                    cluster["topics"],
                    cluster["partitions"],
                    cluster["under_replicated"],
                    cluster["under_min_isr"],
                    cluster["leaderless"],
                )
            ],
            width=width,
        ),
        *_troubled_text(cluster, width),
        *_metadata_text(found, width),
    ]
    return "".join(parts)


def _controller(cluster: ClusterFacts) -> str:
    controller = cluster["controller"]
    return "no controller now" if controller is None else f"controller {controller}"


def _troubled_text(cluster: ClusterFacts, width: int | None) -> list[str]:
    troubled = sorted(
        cluster["troubled"],
        key=lambda each: (TROUBLES.index(each["trouble"]), each["topic"], each["partition"]),
    )
    if not troubled:
        return []
    more = len(troubled) - MOST_TROUBLED
    return [
        "\n",
        layout(
            ("TOPIC", "PARTITION", "LEADER", "REPLICAS", "IN SYNC", "TROUBLE"),
            [
                (
                    each["topic"],
                    each["partition"],
                    each["leader"],
                    ",".join(map(str, each["replicas"])),
                    ",".join(map(str, each["isr"])),
                    each["trouble"],
                )
                for each in troubled[:MOST_TROUBLED]
            ],
            width=width,
        ),
        *([f"and {more} more\n"] if more > 0 else []),
    ]


def _metadata_text(found: Status, width: int | None) -> list[str]:
    if found["metadata"] is None:
        return []
    if not found["etcd"]:
        return [f"\nMetadata in {found['metadata']}\n"]
    return [
        f"\nMetadata in {found['metadata']}\n",
        layout(
            ("ETCD", "VERSION", "SIZE", "REVISION", "STATE"),
            [
                (
                    each["endpoint"],
                    each["version"],
                    None if each["size_bytes"] is None else _size(each["size_bytes"]),
                    each["revision"],
                    each["error"] or ("leader" if each["leader"] else "up"),
                )
                for each in found["etcd"]
            ],
            width=width,
        ),
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
