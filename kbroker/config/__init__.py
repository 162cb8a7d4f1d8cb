"""Configuration: declared tables of Kafka's own keys, and where their values come from.

| module | its one job |
| --- | --- |
| `table` | the declaration idiom: attribute = key = documentation row |
| `broker_config`, `log_keys`, `coordinator_keys` | the broker's keys |
| `topic_config` | a topic's keys, with the broker's keys as their defaults |
| `ignored_keys` | Kafka's keys that have no meaning here |
| `listeners` | `listeners`, `advertised.listeners` and their protocol map, parsed |
| `sources` | properties files, `KAFKA_*` variables, `--set`; which one wins; refusals in one line |
"""
