"""The commands beside the broker: each speaks to a broker over the wire, like any client.

One module per command, imported when its command is called: `topics`, `groups` (with
`group_offsets` and `group_listing`), `configs`, `offsets`, `produce`, `consume`; and `dump_log`
(with `dump_batches`, `dump_files`, `dump_offsets`), which reads files and needs no broker;
`metadata`, which moves those of a stopped one; `health`, for health checks; and `cluster`:
`cluster_status` (with `cluster_facts`) and `cluster_up` (with `cluster_plan`, `cluster_processes`),
both with `cluster_etcd`. Shared by them: `connection` (clients, bounded waits, failures as one
line), `topic_names`, `positions` (where to read from), `record_lines` (records as text), `tables`,
`progress`, `interrupts`, `completion`.

The broker imports nothing of this, and this imports nothing of a running broker.
"""

from __future__ import annotations

from collections.abc import Mapping

COMMANDS: Mapping[str, tuple[str, str]] = {
    "topics": ("kbroker.cli.topics", "List, describe, create, delete and enlarge topics."),
    "produce": ("kbroker.cli.produce", "Send lines of standard input or files as records."),
    "consume": ("kbroker.cli.consume", "Print the records of a topic."),
    "groups": ("kbroker.cli.groups", "Consumer groups: members, lag, resetting of offsets."),
    "configs": ("kbroker.cli.configs", "Settings of topics, brokers and groups."),
    "offsets": ("kbroker.cli.offsets", "Offsets of partitions; deleting records below one."),
    "cluster": ("kbroker.cli.cluster", "A cluster on this machine, and how a cluster is."),
    "metadata": ("kbroker.cli.metadata", "Move a single broker's metadata to an etcd."),
    "health": ("kbroker.cli.health", "Whether the broker configured here serves."),
    "dump-log": ("kbroker.cli.dump_log", "Read files of a data directory; needs no broker."),
}
"""Name on the command line: the module, whose command is called `command`, and one line of help."""
