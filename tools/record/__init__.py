"""Exchanges with Apache Kafka, recorded once and replayed on kbroker ever after.

A *scenario* sends raw requests, good and bad, through a `player`. `python -m tools.record` plays
all of them against Apache Kafka, which it brings up itself, and writes each to a golden file in
`tests/exchanges/golden`. `tests/exchanges/test_replay.py` plays them against kbroker, without Java,
and compares. What differs on purpose stands in `deviations`.

    connection   frames over a blocking socket
    batches      record batches, sound and damaged
    tree         a message as plain data
    normalise    what is different at every run, replaced by names
    text         plain data as readable text
    player       what a scenario sees: it sends, and keeps what was said
    scenarios/   the scenarios, by subject
    deviations   where kbroker differs on purpose, and why
    replay       one scenario compared with its golden file
"""
