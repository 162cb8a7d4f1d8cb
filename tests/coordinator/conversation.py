"""A small language for conversations with a group shard: commands in, the full outcome out.

    # a title in words, citing the KIP it is about
    join g client=a protocols=range:t version=3
    ----
    #1 parked
    ...

A command is one line: a verb, words, and `key=value`. Requests are numbered: `#3` is the answer of
the third request, at once or later. `wait MS` lets time pass and shows what happens when. Members
are named by what they are called on the wire; ids are the client's name and a number. Records are
shown as what they say. `python -m tests.coordinator.conversation --rewrite` regenerates every
conversation: commit only a difference that you can explain.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from coordinator.group.offsets import NO_EXPIRY
from coordinator.group.records import (
    decode_group_metadata_key,
    decode_group_metadata_value,
    decode_offset_commit_key,
    decode_offset_commit_value,
)
from coordinator.group.subscription import subscribed_topics
from coordinator.outcome import CoordinatorRecord, Outcome, Reply
from tests.coordinator.host import START, Host
from tests.coordinator.requests import (
    client,
    commit_request,
    join_request,
    leave_request,
    offset_delete_request,
    parse_topics,
    sync_request,
)
from wire.errors import ErrorCode, KafkaError
from wire.messages.heartbeat import HeartbeatRequest
from wire.schema import NIL_UUID, Response, Struct

CONVERSATIONS = Path(__file__).parent / "conversations"
SEPARATOR = "----"
HIDDEN = {"throttle_time_ms", "authorized_operations"}
SILENT: tuple[object, ...] = (None, "", b"", NIL_UUID, [], False, -1)
"""Values that are left out; a timestamp of 0 is one of them, because 0 == False."""


class Conversation:
    """Interprets one file, command by command. Mutable."""

    def __init__(self) -> None:
        self.host = Host()
        self._verbs: dict[str, Callable[[list[str], dict[str, str]], Iterable[str]]] = {
            "settings": self._settings,
            "join": self._join,
            "sync": self._sync,
            "heartbeat": self._heartbeat,
            "leave": self._leave,
            "commit": self._commit,
            "delete-offsets": self._delete_offsets,
            "delete-group": self._delete_group,
            "delete-topic": self._delete_topic,
            "describe": self._describe,
            "list": self._list,
            "offsets": self._offsets,
            "expire": self._expire,
            "wait": self._wait,
            "restart": self._restart,
            "drop": self._drop,
        }

    def run(self, line: str) -> list[str]:
        """The outcome of one command, a line for each thing that happened."""
        verb, *parts = line.split()
        words = [part for part in parts if "=" not in part]
        options = dict(part.split("=", 1) for part in parts if "=" in part)
        try:
            return list(self._verbs[verb](words, options)) or ["ok"]
        except KafkaError as error:
            return [f"refused {error.code.name}"]

    # --- requests ---

    def _join(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        request, version = join_request(words[0], options)
        return self._ask(
            lambda ticket: self.host.shard.handle_join_group(
                request,
                version=version,
                client=client(options),
                ticket=ticket,
                now=self.host.now,
            )
        )

    def _sync(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        request, version = sync_request(words[0], options)
        return self._ask(
            lambda ticket: self.host.shard.handle_sync_group(
                request, version=version, ticket=ticket, now=self.host.now
            )
        )

    def _heartbeat(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        request = HeartbeatRequest(
            group_id=words[0].strip("-"),
            generation_id=int(options["generation"]),
            member_id=options.get("member", ""),
            group_instance_id=options.get("instance"),
        )
        return self._show(self.host.shard.handle_heartbeat(request, now=self.host.now))

    def _leave(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        request, version = leave_request(words[0], words[1:], options)
        handle = self.host.shard.handle_leave_group
        return self._show(handle(request, version=version, now=self.host.now))

    def _commit(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        request, version = commit_request(words[0], options)
        handle = self.host.shard.handle_offset_commit
        return self._show(handle(request, version=version, now=self.host.now))

    def _delete_offsets(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        request = offset_delete_request(words[0], parse_topics(words[1:]))
        return self._show(self.host.shard.handle_offset_delete(request, now=self.host.now))

    def _delete_group(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        return self._show(self.host.shard.handle_delete_group(words[0], now=self.host.now))

    def _describe(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        version = int(options.get("version", "6"))
        found = self.host.shard.describe_group(words[0], version=version)
        members, found.members = found.members, []
        yield show(found)
        for member in members:
            yield "  " + show(member)

    def _list(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        found = self.host.shard.list_groups(
            states=frozenset(filter(None, options.get("states", "").split(","))),
            types=frozenset(filter(None, options.get("types", "").split(","))),
        )
        return [show(group) for group in found] or ["none"]

    # --- what happens by itself ---

    def _settings(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        changes = {key.replace("-", "_"): int(value) for key, value in options.items()}
        self.host.settings = replace(self.host.settings, **changes)
        self.host.shard.settings = self.host.settings
        return ()

    def _offsets(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        found = self.host.shard.offsets.of_group(words[0])
        return [
            f"{topic}-{partition} {committed.offset}"
            for topic, partitions in sorted(found.items())
            for partition, committed in sorted(partitions.items())
        ] or ["none"]

    def _delete_topic(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        return self._show(self.host.shard.on_topic_deleted(words[0]))

    def _expire(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        shard = self.host.shard
        return self._show(shard.expire_offsets(self.host.now, shard.group_ids()))

    def _wait(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        shown = []
        for at_ms, outcome in self.host.advance(int(words[0])):
            happened = self._events(outcome.records, outcome.replies)
            shown += [f"at {at_ms}", *(f"  {line}" for line in happened)] if happened else []
        return shown

    def _restart(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        self.host.restart()
        return ()

    def _drop(self, words: list[str], options: dict[str, str]) -> Iterable[str]:
        return [show_reply(reply) for reply in self.host.drop()]

    # --- outcomes ---

    def _ask(self, operation: Callable[[int], Outcome[Response]]) -> Iterable[str]:
        ticket, outcome = self.host.ask(operation)
        yield from self._events(outcome.records, ())
        if outcome.reply is None:
            yield f"#{ticket} parked"
        else:
            yield f"#{ticket} {show(outcome.reply)}"
        yield from self._events((), outcome.replies)

    def _show(self, outcome: Outcome[object]) -> Iterable[str]:
        self.host.settle(outcome)
        yield from self._events(outcome.records, ())
        if isinstance(outcome.reply, ErrorCode):
            yield outcome.reply.name
        elif isinstance(outcome.reply, Struct):
            yield show(outcome.reply)
        yield from self._events((), outcome.replies)

    def _events(self, records: Iterable[CoordinatorRecord], replies: Iterable[Reply]) -> list[str]:
        return [*map(show_record, records), *map(show_reply, replies)]


def show(message: Struct) -> str:
    """The name of a message and its fields, without those that say nothing."""
    return f"{type(message).__name__} {_fields(message)}".rstrip()


def _fields(message: Struct) -> str:
    shown = []
    for field in type(message).FIELDS:
        value = getattr(message, field.name)
        if field.name == "error_code":
            shown.append(ErrorCode(value).name)
        elif field.name not in HIDDEN and value not in SILENT:
            shown.append(f"{field.name}={_value(value)}")
    return " ".join(shown)


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Struct):
        return "{" + _fields(value) + "}"
    if isinstance(value, bytes):
        topics = subscribed_topics(value)
        return value.decode() if topics is None else f"<{'+'.join(sorted(topics))}>"
    return str(value)


def show_reply(reply: Reply) -> str:
    return f"#{reply.ticket} {show(reply.response)}"


def show_record(record: CoordinatorRecord) -> str:
    """What the record says; times are those since the conversation began."""
    group = decode_group_metadata_key(record.key)
    if group is not None:
        if record.value is None:
            return f"record group {group.group} forgotten"
        value = decode_group_metadata_value(record.value)
        value.current_state_timestamp -= START.wall_ms
        return f"record group {group.group} {show(value)}"
    place = decode_offset_commit_key(record.key)
    assert place is not None
    where = f"record offset {place.group} {place.topic}-{place.partition}"
    if record.value is None:
        return f"{where} forgotten"
    offset = decode_offset_commit_value(record.value)
    offset.commit_timestamp -= START.wall_ms
    if offset.expire_timestamp != NO_EXPIRY:
        offset.expire_timestamp -= START.wall_ms
    return f"{where} {show(offset)}"


def rewritten(text: str) -> str:
    """The conversation with every outcome as it is now."""
    conversation = Conversation()
    lines: list[str] = []
    is_outcome = False
    for line in text.splitlines():
        if line == SEPARATOR:
            is_outcome = True
        elif is_outcome:
            is_outcome = bool(line)
        elif not line or line.startswith("#"):
            lines.append(line)
        else:
            lines += [line, SEPARATOR, *conversation.run(line), ""]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(_single_blanks(lines)) + "\n"


def _single_blanks(lines: list[str]) -> Iterable[str]:
    before = "-"
    for line in lines:
        if line or before:
            yield line
        before = line


def main(arguments: list[str]) -> int:
    if arguments != ["--rewrite"]:
        sys.stdout.write(f"{__doc__}\n")
        return 2
    for path in sorted(CONVERSATIONS.glob("*.txt")):
        before = path.read_text()
        after = rewritten(before)
        if after != before:
            path.write_text(after)
            sys.stdout.write(f"{path.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
