"""Targets in the commands: lines of text, positions, files and batches that are dumped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from struct import pack

from kbroker.cli.dump_batches import Wanted, read_batches
from kbroker.cli.dump_files import Damage, is_known, read_small_file
from kbroker.cli.positions import parse_position
from kbroker.cli.record_lines import LineError, read_json_line
from kbroker.log_lines import parse_levels
from tests.fuzz.batches import NOW, batches_sample, repaired
from tests.fuzz.messages import message_sample
from tests.fuzz.mutation import Sample, lines
from tests.fuzz.target import Target, require
from tests.fuzz.targets_kbroker import PAIRS
from wire.records.batch import build_batch
from wire.records.record import Record


def cli_targets() -> Iterator[Target]:
    yield Target(
        "json_line",
        lambda chance: lines(chance.choice(JSON_LINES)),
        lambda data: require(read_json_line(data) is not None, "nothing"),
        (LineError,),
        covers=("kbroker.cli.record_lines.read_json_line",),
        weight=1.5,
    )
    yield Target(
        "position",
        lambda chance: lines(
            chance.choice((b"beginning", b"-5", b"@1700000000000", b"2026-01-01T00:00:00+01:00"))
        ),
        lambda data: require(parse_position(data.decode()).number >= 0, "negative"),
        (ValueError,),
        covers=("kbroker.cli.positions.parse_position",),
        weight=1,
    )
    yield Target(
        "log_levels",
        lambda chance: lines(b"info,kbroker.server=debug"),
        lambda data: require(parse_levels(data.decode().split(",")), "nothing"),
        (ValueError,),
        covers=("kbroker.log_lines.parse_levels",),
        weight=0.5,
    )
    yield Target(
        "dumped_file",
        dumped_sample,
        check_dumped,
        (Damage,),
        covers=("kbroker.cli.dump_files.read_small_file",),
        weight=2,
    )

    yield Target(
        "dumped_batches",
        offsets_topic_sample,
        check_dumped_batches,
        (Damage,),
        covers=("kbroker.cli.dump_batches.read_batches",),
        weight=3,
        repair=repaired,
    )


JSON_LINES = (
    json.dumps({"key": "k", "value": "v", "headers": [["h", None]], "partition": 0}).encode(),
    json.dumps({"value": {"base64": "AAEC"}, "timestamp": 5, "topic": "t"}).encode(),
)
DUMPED = (
    b"00000000000000000000.index",
    b"00000000000000000005.timeindex",
    b"00000000000000000005.txnindex",
    b"00000000000000000005.snapshot",
    b"replication-offset-checkpoint",
    b"leader-epoch-checkpoint",
    b"partition.metadata",
    b"meta.properties",
    b".kafka_cleanshutdown",
)


def dumped_sample(chance: Random) -> Sample:
    """The name of a file, then what is in it."""
    name = chance.choice(DUMPED)
    body = chance.choice((bytes(48), b"0\n1\norders 0 5\n", b"0\n1\n0 0\n", chance.randbytes(34)))
    inner = lines(body)
    return Sample([bytes([len(name)]), name, *inner.pieces], "bd" + inner.kinds)


def check_dumped(data: bytes) -> None:
    end = 1 + data[0] if data else 1
    try:
        name = data[1:end].decode()
    except UnicodeDecodeError:
        return
    if is_known(name) and "/" not in name:
        for item in read_small_file(f"/nowhere/{name}", memoryview(data[end:])):
            json.dumps(item.fields)


def offsets_topic_sample(chance: Random) -> Sample:
    """Batches; now and then one whose record is a committed offset or a group."""
    if chance.random() < 0.5:
        return batches_sample(chance)
    cls, value_cls = chance.choice(PAIRS)
    key, value = (
        pack(">h", version) + message_sample(each, version, chance).data
        for each, version in (
            (cls, chance.choice(cls.VERSIONS)),
            (value_cls, chance.choice(value_cls.VERSIONS)),
        )
    )
    data = bytes(build_batch([Record(0, NOW, key, value)]))
    cut = chance.randrange(61, len(data))
    return Sample([data[:8], data[8:12], data[12:61], data[61:cut], data[cut:]], "qiddd")


def check_dumped_batches(data: bytes) -> None:
    for offsets in (False, True):
        wanted = Wanted(records=True, offsets=offsets)
        for item in read_batches(memoryview(data), wanted, lambda size: None):
            json.dumps(item.fields)
