"""Incremental fetch sessions (KIP-227)."""

from tools.record.batches import batch
from tools.record.player import Player
from tools.record.requests import fetch, fetch_part, produce
from wire.messages.fetch import FetchRequest, FetchResponse, FetchTopic, ForgottenTopic

SESSION_VERSIONS = range(7, 19)


def versions(kafka: Player) -> None:
    """Every version with sessions: a full fetch, an idle one, a change, and the end of it."""
    topic = "session-versions"
    topic_id = kafka.setup_topic(topic)
    for end, version in enumerate(SESSION_VERSIONS):
        name = topic_id if version >= 13 else topic
        session = _begin(kafka, f"v{version}, full", version, fetch_part(name, end))
        idle = fetch(session_id=session, session_epoch=1)
        kafka.send(f"v{version}, idle", idle, version)
        kafka.setup_send(produce(topic, batch("n")), 9)
        kafka.send(f"v{version}, news", fetch(session_id=session, session_epoch=2), version)
        kafka.send(f"v{version}, end", fetch(session_id=session, session_epoch=-1), version)
        kafka.send(f"v{version}, gone", fetch(session_id=session, session_epoch=3), version)


def incremental(kafka: Player) -> None:
    """What changes in a session is said, what does not is left out."""
    topic = "session-incremental"
    kafka.setup_topic(topic, partitions=3)
    kafka.setup_send(produce(topic, batch("a")), 9)
    session = _begin(
        kafka,
        "full",
        11,
        fetch_part(topic, 0),
        fetch_part(topic, 0, partition=1),
    )

    def send(
        title: str, epoch: int, *topics: FetchTopic, forget: list[ForgottenTopic] | None = None
    ) -> None:
        request = fetch(*topics, session_id=session, session_epoch=epoch, forget=forget or [])
        kafka.send(title, request, 11)

    send("not read yet: again", 1)
    send("read to the end", 2, fetch_part(topic, 1))
    send("idle", 3)
    kafka.send("one produces", produce(topic, batch("b"), partition=1), 9)
    send("news of partition 1", 4)
    send("partition 1 read", 5, fetch_part(topic, 1, partition=1))
    send("partition 2 joins", 6, fetch_part(topic, 0, partition=2))
    send("one that is not there joins", 7, fetch_part(topic, 0, partition=9))
    send("and is said again", 8)
    forget_it = [ForgottenTopic(topic=topic, partitions=[9, 0])]
    send("two are forgotten", 9, forget=forget_it)
    kafka.send("one produces to a forgotten one", produce(topic, batch("c")), 9)
    send("no news of it", 10)
    forget_it = [ForgottenTopic(topic="session-nowhere", partitions=[0])]
    send("forget what never was", 11, forget=forget_it)
    send("an offset out of range", 12, fetch_part(topic, 77, partition=1))
    send("is said again", 13)
    send("and back in range", 14, fetch_part(topic, 0, partition=1))
    send("twice", 15, fetch_part(topic, 0, partition=1), fetch_part(topic, 1, partition=1))


def wrong_epochs(kafka: Player) -> None:
    """A skipped or repeated epoch, an unknown session, a session id with a first epoch."""
    topic = "session-wrong"
    kafka.setup_topic(topic)
    session = _begin(kafka, "full", 11, fetch_part(topic, 0))
    kafka.send("idle", fetch(session_id=session, session_epoch=1), 11)
    kafka.send("the same epoch again", fetch(session_id=session, session_epoch=1), 11)
    kafka.send("a skipped epoch", fetch(session_id=session, session_epoch=4), 11)
    kafka.send("the right one still", fetch(session_id=session, session_epoch=2), 11)
    unknown = 1_999_999_999
    kafka.send("an unknown session", fetch(session_id=unknown, session_epoch=1), 11)
    kafka.send("an unknown session, version 7", fetch(session_id=unknown, session_epoch=1), 7)
    kafka.send(
        "an unknown session with partitions",
        fetch(fetch_part(topic, 0), session_id=unknown, session_epoch=1),
        11,
    )
    kafka.send("ending an unknown session", fetch(session_id=unknown, session_epoch=-1), 11)
    kafka.send("session zero with an epoch", fetch(session_id=0, session_epoch=1), 11)
    kafka.send("a negative epoch", fetch(session_id=session, session_epoch=-2), 11)
    kafka.send(
        "a full fetch with the old session's id",
        fetch(fetch_part(topic, 0), session_id=session, session_epoch=0),
        11,
    )
    kafka.send("which has replaced it", fetch(session_id=session, session_epoch=3), 11)


def without(kafka: Player) -> None:
    """No session is made for no partitions, nor where none is asked for."""
    topic = "session-without"
    topic_id = kafka.setup_topic(topic)
    kafka.send("nothing asked, epoch 0", fetch(session_epoch=0), 11)
    kafka.send("nothing asked, epoch -1", fetch(session_epoch=-1), 11)
    kafka.send("epoch -1", fetch(fetch_part(topic, 0), session_epoch=-1), 11)
    session = _begin(kafka, "by name", 12, fetch_part(topic, 0))
    kafka.send("then by id", fetch(session_id=session, session_epoch=1), 13)
    session = _begin(kafka, "by id", 13, fetch_part(topic_id, 0))
    kafka.send("then by name", fetch(session_id=session, session_epoch=1), 12)
    session = _begin(kafka, "an unknown id", 13, fetch_part(bytes(range(16)), 0))
    kafka.send("an unknown id, again", fetch(session_id=session, session_epoch=1), 13)


def across_connections(kafka: Player) -> None:
    """A session belongs to no connection, and waits like any fetch."""
    topic = "session-across"
    kafka.setup_topic(topic)
    session = _begin(kafka, "full", 11, fetch_part(topic, 0))
    waiter = kafka.begin(
        "waits on another connection",
        fetch(session_id=session, session_epoch=1, max_wait_ms=10_000),
        11,
        on="other",
    )
    kafka.send("the produce", produce(topic, batch("a")), 9)
    kafka.finish(waiter)
    kafka.send("read", fetch(fetch_part(topic, 1), session_id=session, session_epoch=2), 11)
    kafka.send("idle for a while", fetch(session_id=session, session_epoch=3, max_wait_ms=20), 11)


def _begin(kafka: Player, title: str, version: int, *topics: FetchTopic) -> int:
    request: FetchRequest = fetch(*topics, session_id=0, session_epoch=0)
    answer = kafka.send(title, request, version)
    assert isinstance(answer, FetchResponse)
    return answer.session_id


SCENARIOS = {
    "fetch_sessions/versions": versions,
    "fetch_sessions/incremental": incremental,
    "fetch_sessions/wrong_epochs": wrong_epochs,
    "fetch_sessions/without": without,
    "fetch_sessions/across_connections": across_connections,
}
