"""Exchanges with Apache Kafka, recorded once and replayed on kbroker ever after.

A *scenario* sends raw requests, good and bad, through a `player`. `python -m tools.record` plays
all of them against Apache Kafka, which it brings up itself, and writes each to a golden file in
`tests/exchanges/golden`. `tests/exchanges/test_replay.py` plays them against kbroker, without Java,
and compares. What differs on purpose stands in `deviations`.

- `scenarios`: what is played, by subject; with `requests` and `batches`, short ways to write it
- `player`: what a scenario sees: it sends, and keeps what was said; on `connection`
- `tree`, `normalise`, `text`, `golden`: from a message to readable text, and back
- `compare`, `deviations`, `replay`: where answers differ, and where they may
- `settings`, `prepare`: how both brokers start
"""
