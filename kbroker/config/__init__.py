"""Configuration: declared tables of Kafka's own keys, and where their values come from.

| module | its one job |
| --- | --- |
| `table` | the declaration idiom: attribute = key = documentation row |
| `broker_config`, `log_keys`, `coordinator_keys` | the broker's keys |
| `metadata_keys` | the broker's keys about where cluster metadata are |
| `topic_config` | a topic's keys, with the broker's keys as their defaults |
| `group_config`, `client_metrics_config` | what may be set on a group, on a subscription |
| `running_config` | the broker's configuration as it holds now, under what was set meanwhile |
| `describing`, `altering` | the rules of DescribeConfigs, and of the APIs that change settings |
| `loggers` | the levels of loggers, as a resource of those APIs |
| `ignored_keys` | Kafka's keys that have no meaning here |
| `connection_values` | values of keys about connections |
| `listeners` | `listeners`, `advertised.listeners` and their protocol map, parsed |
| `sources` | properties files, `KAFKA_*` variables, `--set`; which one wins; refusals in one line |
"""
