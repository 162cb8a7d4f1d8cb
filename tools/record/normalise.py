"""What differs from run to run, replaced by names, so that the rest can be compared as text.

    topic ids         <id of NAME>, learnt from any answer that has both
    producer ids      <producer N>, numbered as InitProducerId gave them
    session ids       <session N>, likewise
    member ids        <CLIENT N>, numbered in order: CLIENT-uuid, or INSTANCE-uuid (KIP-345)
    cluster id        <cluster>
    features' epoch   <epoch>: an offset of Kafka's metadata log
    data directory    <log dir>, and <bytes> for what its disk has
    the metadata log  <offset>, <epoch>: how far the quorum is
    host and port     <host>, <port> where they are the address the player connected to
    times near now    <now>, <now+2h>: stamped by the broker, or sent relative to now;
                      <time> in messages

A value that the scenario itself made up (it stood in a request first) stays as it is, and so do
node ids, epochs and offsets: the replay starts its broker with the recorder's node id and settings.
Lists whose order Kafka does not promise are sorted by what identifies their elements, and the
partitions of one topic that stand in several entries of a Fetch answer are put into one.
"""

import re
from base64 import urlsafe_b64encode

from tools.record.text import Symbol, Tree, inline

NUMBERED = {"session_id": "session", "producer_id": "producer"}
NO_VALUE = {"session_id": 0, "producer_id": -1}
TIME_FIELDS = {
    "timestamp",
    "max_timestamp",
    "base_timestamp",
    "log_append_time_ms",
    "last_fetch_timestamp",
    "last_caught_up_timestamp",
}
NAMED = {
    "log_dir": "<log dir>",
    "total_bytes": "<bytes>",
    "usable_bytes": "<bytes>",
    "log_end_offset": "<offset>",
}
"""Of the machine or the run: what stands there says no more than that it is known (not -1)."""
QUORUM = {"leader_epoch": "<epoch>", "high_watermark": "<offset>"}
"""Likewise, beside the voters of a quorum."""
IDENTIFYING = (
    "key",
    "name",
    "topic",
    "topic_id",
    "partition_index",
    "index",
    "partition",
    "partition_id",
    "api_key",
    "node_id",
    "broker_id",
    "group_id",
    "member_id",
    "user",
)
MEMBER_ID = re.compile(r"(.*)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LONG_NUMBER = re.compile(r"-?\d{13,}")
HOUR_MS = 3_600_000
NEAR_HOURS = 24 * 60


class Normaliser:
    """The names given so far in one scenario. Mutable: every answer may teach it more.

    `only_topics` and `only_groups`, where not empty, are what answers may list; others are dropped.
    """

    def __init__(self, host: str, port: int, now_ms: int) -> None:
        self._host = host
        self._port = port
        self._now_ms = now_ms
        self._names: dict[tuple[str, str], Symbol] = {}
        self.only_topics: frozenset[str] = frozenset()
        self.only_groups: frozenset[str] = frozenset()

    def learn_topic(self, name: str, topic_id: bytes) -> None:
        """Call this id `<id of NAME>` from now on; the first name given stays."""
        if topic_id != bytes(16):
            uuid = f"uuid:{topic_id.hex()}"
            self._names.setdefault(("uuid", uuid), Symbol(f"<id of {name}>"))

    def request(self, tree: Tree) -> Tree:
        """A request's tree, with the names known; what is not known is the scenario's own."""
        return self._walk(tree, "", is_answer=False)

    def answer(self, tree: Tree) -> Tree:
        """An answer's tree; ids that nobody knew are named here."""
        self._learn(tree)
        return _ordered(self._walk(tree, "", is_answer=True))

    def _learn(self, tree: Tree) -> None:
        if isinstance(tree, dict):
            name, topic_id = tree.get("name", tree.get("topic")), tree.get("topic_id")
            if name and isinstance(name, str) and str(topic_id).startswith("uuid:"):
                self.learn_topic(name, bytes.fromhex(str(topic_id)[5:]))
        for child in _children(tree):
            self._learn(child)

    def _walk(self, tree: Tree, key: str, *, is_answer: bool) -> Tree:
        if isinstance(tree, dict):
            if "current_voters" in tree:
                tree = {name: _known(QUORUM, name, tree[name]) for name in tree}
            return {name: self._walk(tree[name], name, is_answer=is_answer) for name in tree}
        if isinstance(tree, list):
            kept = [element for element in tree if not is_answer or self._is_kept(element, key)]
            return [self._walk(element, key, is_answer=is_answer) for element in kept]
        if isinstance(tree, Symbol) and tree.startswith("uuid:"):
            return self._named("uuid", tree, "id", is_answer=is_answer)
        if isinstance(tree, str) and (member := MEMBER_ID.fullmatch(tree)):
            return self._named("member", tree, member[1], is_answer=is_answer)
        if key in NUMBERED and tree != NO_VALUE[key]:
            return self._named(key, tree, NUMBERED[key], is_answer=is_answer)
        if key in TIME_FIELDS and isinstance(tree, int):
            return self._time(tree)
        if is_answer:
            return self._address(tree, key)
        return tree

    def _is_kept(self, element: Tree, key: str) -> bool:
        if not isinstance(element, dict):
            return True
        if key in ("topics", "replica_election_results") and self.only_topics:
            return element.get("name", element.get("topic")) in self.only_topics
        if key == "groups" and self.only_groups:
            return element.get("group_id") in self.only_groups
        return True

    def _named(self, kind: str, value: Tree, label: str, *, is_answer: bool) -> Tree:
        known = self._names.get((kind, inline(value)))
        if known is not None:
            return known
        if not is_answer:
            # Made up by the scenario: an answer that repeats it says the same.
            self._names[kind, inline(value)] = Symbol(inline(value))
            return value
        count = sum(1 for name in self._names.values() if name.startswith(f"<{label} "))
        return self._names.setdefault((kind, inline(value)), Symbol(f"<{label} {count + 1}>"))

    def _time(self, value: int) -> Tree:
        hours = round((value - self._now_ms) / HOUR_MS)
        if abs(hours) > NEAR_HOURS:
            return value
        return Symbol("<now>" if hours == 0 else f"<now{hours:+d}h>")

    def _address(self, value: Tree, key: str) -> Tree:
        if key in NAMED:
            return _known(NAMED, key, value)
        if key == "finalized_features_epoch" and value != -1:
            return Symbol("<epoch>")
        if key == "cluster_id" and isinstance(value, str):
            return Symbol("<cluster>")
        if key == "host" and value == self._host:
            return Symbol("<host>")
        if key == "port" and value == self._port:
            return Symbol("<port>")
        if key.endswith("error_message") and isinstance(value, str):
            return self._message(value)
        return value

    def _message(self, text: str) -> str:
        """Ids stand there in Kafka's base 64; numbers this long are times, or bounds of some."""
        text = LONG_NUMBER.sub("<time>", text)
        for (kind, uuid), name in self._names.items():
            if kind == "uuid" and uuid.startswith("uuid:"):
                encoded = urlsafe_b64encode(bytes.fromhex(uuid[5:])).decode().rstrip("=")
                text = text.replace(encoded, name)
        return text


def _known(names: dict[str, str], key: str, value: Tree) -> Tree:
    return Symbol(names[key]) if key in names and value != -1 else value


def _children(tree: Tree) -> list[Tree]:
    if isinstance(tree, dict):
        return list(tree.values())
    return tree if isinstance(tree, list) else []


def _ordered(tree: Tree) -> Tree:
    if isinstance(tree, dict):
        return {name: _ordered(value) for name, value in tree.items()}
    if not isinstance(tree, list):
        return tree
    elements = [_ordered(element) for element in _joined(tree)]
    for key in IDENTIFYING:
        if all(isinstance(element, dict) and key in element for element in elements):
            # A stable sort by this alone: what Kafka repeats stays in the order it has.
            return sorted(elements, key=lambda element: _sort_key(element, key))
    return elements


def _joined(elements: list[Tree]) -> list[Tree]:
    """Entries that differ in their `partitions` alone become one entry."""
    joined: dict[str, Tree] = {}
    for element in elements:
        if not isinstance(element, dict) or not isinstance(element.get("partitions"), list):
            return elements
        rest = inline({key: value for key, value in element.items() if key != "partitions"})
        first = joined.setdefault(rest, {**element, "partitions": []})
        assert isinstance(first, dict)
        first["partitions"] = [*_children(first["partitions"]), *_children(element["partitions"])]
    return list(joined.values())


def _sort_key(element: Tree, key: str) -> tuple[int, str]:
    assert isinstance(element, dict)
    value = element[key]
    return (value, "") if isinstance(value, int) else (0, inline(value))
