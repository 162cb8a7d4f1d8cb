"""kbroker: the shell around the pure packages: sockets, tasks, wiring and the command line.

| module | its one job |
| --- | --- |
| `__main__` | the command line |
| `broker`, `dependencies` | puts one broker together, starts and stops it |
| `process` | the process around it: loop, signals, the ready line |
| `server`, `dispatch` | connections and frames; header to handler to response |
| `tasks`, `watch`, `flusher` | the only places that start tasks, wait for conditions, and fsync |
| `handlers` | one module for each API of Kafka's |
| `replication` | partitions, in-sync replicas, fetch sessions |
| `cluster` | the metadata store, its image, the controller |
| `coordination` | hosts the coordinator shards |
| `operations` | what "authorized operations" answers |
| `observability` | metrics and probes over HTTP |
| `config` | every configuration key, from one declared table |
| `config_admin`, `live_configs` | describe and change settings; let what changed take effect |
"""
