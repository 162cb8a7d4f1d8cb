"""What `/metrics` answers: the meters, and what the broker itself knows, read when it is asked.

Rendered with prometheus-client, family by family and with a turn of the loop between two of them.
Counterparts: `metric_names` declares the families, `totals` adds up partitions and connections.
"""

from __future__ import annotations

import asyncio
import itertools
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from kbroker.coordination import GroupCoordinator
from kbroker.observability import metric_names as names
from kbroker.observability.loop_watch import LagTimer, LoopTurns
from kbroker.observability.meters import FlushMeter, Histogram, RequestMeters
from kbroker.observability.metric_names import Kind, Metric
from kbroker.observability.totals import (
    ConnectionTotals,
    LogTotals,
    connection_totals,
    log_totals,
)
from kbroker.server import Server
from kbroker.services import MEMBERSHIP_STATES, Services
from kbroker.version import __version__
from log.file_system import DiskSpace
from wire.api_key import ApiKey
from wire.errors import ErrorCode

CONTENT_TYPE = CONTENT_TYPE_LATEST

Values = Iterable[tuple[tuple[str, ...], float]]
"""Numbers, each with the values of its labels."""


@dataclass(slots=True)
class Meters:
    """What is counted beside the broker. Mutable."""

    requests: RequestMeters
    lag: LagTimer
    turns: LoopTurns | None
    flushes: FlushMeter | None = None


async def render(services: Services, server: Server, meters: Meters, *, ready: bool) -> bytes:
    """The whole answer to a scrape, in Prometheus' text format."""
    logs = await log_totals(services.replicas, node_id=services.node_id)
    connections = await connection_totals(
        server.connections, listeners=[listener.name for listener, _, _ in server.bound]
    )
    space = await _space(services)
    families = itertools.chain(
        _broker(services, ready=ready),
        _requests(meters.requests, services),
        _connections(server, connections),
        _cluster(services),
        _logs(services, logs),
        _disk(space),
        _flushes(meters.flushes),
        _groups(services.group_coordinator),
        _loop(meters),
    )
    parts = []
    for family in families:
        parts.append(generate_latest(_OneFamily(family)))
        await asyncio.sleep(0)
    parts.append(generate_latest(ProcessCollector(registry=CollectorRegistry())))
    return b"".join(parts)


class _OneFamily:
    """A collector in prometheus-client's sense."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def collect(self) -> list[Family]:
        return [self._family]


def _broker(services: Services, *, ready: bool) -> Iterator[Family]:
    labels = __version__, platform.python_version(), services.config.kbroker_event_loop
    yield _family(names.BUILD_INFO, [(labels, 1)])
    yield _one(names.READY, ready)


def _requests(meters: RequestMeters, services: Services) -> Iterator[Family]:
    by_api = [((_api_name(key),), meter) for key, meter in sorted(meters.by_api.items())]
    yield _family(names.REQUESTS, ((api, meter.requests) for api, meter in by_api))
    yield _family(
        names.REQUEST_ERRORS,
        (
            ((*api, _error_name(code)), count)
            for api, meter in by_api
            for code, count in sorted(meter.errors.items())
        ),
    )
    yield _histograms(names.REQUEST_SECONDS, {api: meter.latency for api, meter in by_api})
    yield _family(names.REQUEST_BYTES, ((api, meter.request_bytes) for api, meter in by_api))
    yield _family(names.RESPONSE_BYTES, ((api, meter.response_bytes) for api, meter in by_api))
    yield _one(names.FETCH_SESSIONS, len(services.fetch_sessions))


def _connections(server: Server, totals: ConnectionTotals) -> Iterator[Family]:
    yield _by_label(names.CONNECTIONS, totals.by_listener)
    yield _one(names.CONNECTIONS_ACCEPTED, server.quotas.accepted_count)
    yield _by_label(names.CONNECTIONS_REJECTED, server.quotas.rejected_counts)
    yield _by_label(names.CONNECTIONS_HUNG_UP, server.hung_up_counts)
    yield _one(names.RECEIVE_BYTES, server.memory.used_bytes)
    yield _one(names.RECEIVE_LIMIT_BYTES, server.memory.budget_bytes)
    yield _one(names.REQUESTS_WAITING, totals.waiting)
    yield _one(names.PARKED_FETCHES, totals.parked_fetches)


def _cluster(services: Services) -> Iterator[Family]:
    image = services.metadata.image
    yield _one(names.BROKERS, sum(each.is_admitted for each in image.brokers.values()))
    yield _one(names.CONTROLLER, image.controller_id == services.node_id)
    state = services.membership_state()
    yield _by_label(names.MEMBERSHIP, {each: each == state for each in MEMBERSHIP_STATES})


def _logs(services: Services, totals: LogTotals) -> Iterator[Family]:
    replicas = services.replicas
    yield _one(names.TOPICS, len(services.metadata.image.topics))
    yield _one(names.PARTITIONS, totals.partitions)
    yield _one(names.LEADERS, totals.leaders)
    yield _one(names.UNDER_REPLICATED, totals.under_replicated)
    yield _one(names.UNDER_MIN_ISR, totals.under_min_isr)
    unmade = {"making": replicas.making_count, "refused": replicas.refused_count}
    yield _by_label(names.PARTITIONS_UNMADE, unmade)
    yield _one(names.LOG_BYTES, totals.size_bytes)
    yield _one(names.LOG_SEGMENTS, totals.segments)
    yield _one(names.UNFLUSHED_RECORDS, totals.unflushed_records)
    yield _one(names.STORAGE_ONLINE, not replicas.offline)
    listed = sorted(totals.topic_bytes)[: services.config.kbroker_metrics_topics]
    yield _by_label(names.TOPIC_LOG_BYTES, {name: totals.topic_bytes[name] for name in listed})
    yield _by_label(names.TOPIC_RECORDS, {name: totals.topic_records[name] for name in listed})
    yield _one(names.TOPICS_NOT_LISTED, len(totals.topic_bytes) - len(listed))


async def _space(services: Services) -> DiskSpace | None:
    """Asked in a thread: a remote disk may take its time."""
    try:
        return await asyncio.get_running_loop().run_in_executor(None, services.replicas.disk_space)
    except OSError:
        return None


def _disk(space: DiskSpace | None) -> Iterator[Family]:
    if space is not None:
        yield _one(names.FREE_BYTES, space.usable_bytes)
        yield _one(names.DISK_BYTES, space.total_bytes)


def _flushes(meter: FlushMeter | None) -> Iterator[Family]:
    if meter is not None:
        yield _histograms(names.FLUSH_SECONDS, {(): meter.seconds})
        yield _histograms(names.FLUSH_LOGS, {(): meter.sizes})
        yield _one(names.FLUSH_FAILURES, meter.failures)


def _groups(coordinator: GroupCoordinator) -> Iterator[Family]:
    groups: dict[str, float] = {}
    members: dict[str, float] = {}
    for state, member_count in coordinator.group_sizes():
        groups[state] = groups.get(state, 0) + 1
        members[state] = members.get(state, 0) + member_count
    yield _by_label(names.GROUPS, groups)
    yield _by_label(names.GROUP_MEMBERS, members)


def _loop(meters: Meters) -> Iterator[Family]:
    if meters.turns is not None:
        yield _histograms(names.LOOP_TURN_SECONDS, {(): meters.turns.seconds})
        yield _one(names.LOOP_SLOW_TURNS, meters.turns.slow)
    yield _histograms(names.LOOP_LAG_SECONDS, {(): meters.lag.seconds})


# Families.


def _one(metric: Metric, value: float) -> Family:
    return _family(metric, [((), value)])


def _by_label(metric: Metric, values: Mapping[str, float]) -> Family:
    return _family(metric, (((label,), value) for label, value in sorted(values.items())))


def _family(metric: Metric, values: Values) -> Family:
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind is Kind.COUNTER:
        family = CounterMetricFamily(metric.name, metric.doc, labels=metric.labels)
    else:
        assert metric.kind is Kind.GAUGE
        family = GaugeMetricFamily(metric.name, metric.doc, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _histograms(metric: Metric, histograms: Mapping[tuple[str, ...], Histogram]) -> Family:
    assert metric.kind is Kind.HISTOGRAM
    family = HistogramMetricFamily(metric.name, metric.doc, labels=metric.labels)
    for labels, histogram in histograms.items():
        below = itertools.accumulate(histogram.counts)
        bounds = [*map(repr, histogram.bounds), "+Inf"]
        buckets = [(bound, float(count)) for bound, count in zip(bounds, below, strict=True)]
        family.add_metric(labels, buckets, histogram.total)
    return family


def _api_name(api_key: int) -> str:
    """As in docs/apis.md."""
    return "".join(word.capitalize() for word in ApiKey(api_key).name.split("_"))


def _error_name(code: int) -> str:
    try:
        return ErrorCode(code).name
    except ValueError:
        return str(code)
