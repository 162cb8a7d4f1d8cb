"""Every metric of kbroker's own: name, kind, labels, meaning. docs/METRICS.md is made from it.

The names are promises: a board that uses one goes on working. Labels have few values, of which the
broker knows all but the names of topics; those are limited by `kbroker.metrics.topics`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. A counter's name ends in `_total`, as it is scraped."""

    name: str
    kind: Kind
    doc: str
    labels: tuple[str, ...] = ()


def _counter(name: str, doc: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, doc, labels)


def _gauge(name: str, doc: str, *labels: str) -> Metric:
    return Metric(name, Kind.GAUGE, doc, labels)


def _histogram(name: str, doc: str, *labels: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, doc, labels)


BUILD_INFO = _gauge("kbroker_build_info", "1; what runs here.", "version", "python", "loop")
READY = _gauge("kbroker_ready", "1 where /readyz says so (without its look at the disk), else 0.")

REQUESTS = _counter("kbroker_requests_total", "Requests that were answered.", "api")
REQUEST_ERRORS = _counter(
    "kbroker_request_errors_total",
    "Error codes in answers; one answer may hold several, one for each partition.",
    "api",
    "error",
)
REQUEST_SECONDS = _histogram(
    "kbroker_request_seconds",
    "From the whole request's arrival until its answer is encoded. A Produce waits for its flush,"
    " a Fetch for as long as the client lets it.",
    "api",
)
REQUEST_BYTES = _counter("kbroker_request_bytes_total", "Bytes of answered requests.", "api")
RESPONSE_BYTES = _counter("kbroker_response_bytes_total", "Bytes of answers.", "api")
REQUESTS_WAITING = _gauge(
    "kbroker_requests_waiting", "Requests that are begun and not answered, parked Fetches included."
)
PARKED_FETCHES = _gauge("kbroker_parked_fetches", "Fetches that wait for records.")
FETCH_SESSIONS = _gauge("kbroker_fetch_sessions", "Incremental fetch sessions (KIP-227).")

CONNECTIONS = _gauge("kbroker_connections", "Connections that are open.", "listener")
CONNECTIONS_ACCEPTED = _counter("kbroker_connections_accepted_total", "Connections made.")
CONNECTIONS_REJECTED = _counter(
    "kbroker_connections_rejected_total",
    "Connections that were closed at once, by the limit that they would have passed.",
    "limit",
)
CONNECTIONS_HUNG_UP = _counter(
    "kbroker_connections_hung_up_total",
    "Connections that the broker closed: idle, too_large (a request over"
    " socket.request.max.bytes), malformed, or unsupported (an API or a version).",
    "reason",
)
RECEIVE_BYTES = _gauge(
    "kbroker_receive_memory_bytes",
    "Memory that holds requests which have partly arrived, or wait for those before them.",
)
RECEIVE_LIMIT_BYTES = _gauge(
    "kbroker_receive_memory_limit_bytes", "queued.max.request.bytes; -1 is no limit."
)

TOPICS = _gauge("kbroker_topics", "Topics of the cluster, internal ones included.")
PARTITIONS = _gauge("kbroker_partitions", "Partitions that this broker holds.")
LEADERS = _gauge("kbroker_leader_partitions", "Partitions that this broker leads.")
UNDER_REPLICATED = _gauge(
    "kbroker_under_replicated_partitions",
    "Partitions led here of which not every replica is in sync.",
)
UNDER_MIN_ISR = _gauge(
    "kbroker_under_min_isr_partitions",
    "Partitions led here that take no acks=all: fewer in sync than min.insync.replicas.",
)
BROKERS = _gauge("kbroker_cluster_brokers", "Brokers that are members of the cluster.")
CONTROLLER = _gauge("kbroker_is_controller", "1 on the broker that is the controller.")
MEMBERSHIP = _gauge(
    "kbroker_membership",
    "1 for the state that this broker is in: fresh, suspect (it does not reach the metadata store,"
    " and goes on leading) or lost (it leads nothing). A broker that is alone is fresh.",
    "state",
)
PARTITIONS_UNMADE = _gauge(
    "kbroker_partitions_unmade",
    "Partitions that this broker should hold and does not: made soon, or refused by the disk.",
    "state",
)
LOG_BYTES = _gauge("kbroker_log_bytes", "Bytes of all logs, without indexes.")
LOG_SEGMENTS = _gauge("kbroker_log_segments", "Segments of all logs.")
UNFLUSHED_RECORDS = _gauge(
    "kbroker_unflushed_records", "Offsets past what is known to be on the disk, over all logs."
)
TOPIC_LOG_BYTES = _gauge("kbroker_topic_log_bytes", "Bytes of a topic's logs here.", "topic")
TOPIC_RECORDS = _counter(
    "kbroker_topic_records_total",
    "Offsets given out in a topic's partitions here, since it was made.",
    "topic",
)
TOPICS_NOT_LISTED = _gauge(
    "kbroker_topics_not_listed",
    "Topics without series of their own: those past the first kbroker.metrics.topics by name.",
)

FLUSH_SECONDS = _histogram("kbroker_flush_seconds", "From a flush's begin to its end (fsync).")
FLUSH_LOGS = _histogram("kbroker_flush_logs", "Logs that one flush served.")
FLUSH_FAILURES = _counter("kbroker_flush_failures_total", "Logs whose flush failed.")
STORAGE_ONLINE = _gauge(
    "kbroker_storage_online", "1 while the log directory takes appends, else 0."
)

FREE_BYTES = _gauge(
    "kbroker_log_directory_free_bytes", "What the disk of the log directory still takes."
)
DISK_BYTES = _gauge("kbroker_log_directory_bytes", "Size of the disk of the log directory.")

GROUPS = _gauge("kbroker_groups", "Groups of this broker's coordinators.", "state")
GROUP_MEMBERS = _gauge("kbroker_group_members", "Members of those groups.", "state")
LOOP_TURN_SECONDS = _histogram(
    "kbroker_loop_turn_seconds",
    "Length of the event loop's turns: how long one serves nobody else. Not with uvloop.",
)
LOOP_SLOW_TURNS = _counter(
    "kbroker_loop_slow_turns_total", "Turns of the event loop over 2 ms. Not with uvloop."
)
LOOP_LAG_SECONDS = _histogram(
    "kbroker_loop_lag_seconds", "How late a timer rings that is due ten times a second."
)

METRICS = (
    BUILD_INFO,
    READY,
    REQUESTS,
    REQUEST_ERRORS,
    REQUEST_SECONDS,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    REQUESTS_WAITING,
    PARKED_FETCHES,
    FETCH_SESSIONS,
    CONNECTIONS,
    CONNECTIONS_ACCEPTED,
    CONNECTIONS_REJECTED,
    CONNECTIONS_HUNG_UP,
    RECEIVE_BYTES,
    RECEIVE_LIMIT_BYTES,
    TOPICS,
    PARTITIONS,
    LEADERS,
    UNDER_REPLICATED,
    UNDER_MIN_ISR,
    BROKERS,
    CONTROLLER,
    MEMBERSHIP,
    PARTITIONS_UNMADE,
    LOG_BYTES,
    LOG_SEGMENTS,
    UNFLUSHED_RECORDS,
    TOPIC_LOG_BYTES,
    TOPIC_RECORDS,
    TOPICS_NOT_LISTED,
    FLUSH_SECONDS,
    FLUSH_LOGS,
    FLUSH_FAILURES,
    STORAGE_ONLINE,
    FREE_BYTES,
    DISK_BYTES,
    GROUPS,
    GROUP_MEMBERS,
    LOOP_TURN_SECONDS,
    LOOP_SLOW_TURNS,
    LOOP_LAG_SECONDS,
)

PROCESS_METRICS = (
    _gauge("process_resident_memory_bytes", "Memory of the process (Linux)."),
    _gauge("process_virtual_memory_bytes", "Virtual memory of the process (Linux)."),
    _gauge("process_start_time_seconds", "When the process began (Linux)."),
    _counter("process_cpu_seconds_total", "Processor time of the process (Linux)."),
    _gauge("process_open_fds", "Open file descriptors (Linux)."),
    _gauge("process_max_fds", "Open file descriptors that the system allows (Linux)."),
)
"""What prometheus-client reads off the operating system."""
