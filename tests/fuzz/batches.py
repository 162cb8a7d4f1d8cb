"""Record batches of format 2 for mutation: plain and compressed, of clients and of brokers.

The records are written here, not by `wire.records`, so that a change can hit a length inside a
compressed body: half of what goes wrong in a batch does so behind a right checksum.
"""

from __future__ import annotations

from random import Random
from struct import pack

from tests.fuzz.mutation import Sample, change_bytes, change_pieces
from wire.records.batch_header import ATTRIBUTES_AT, CRC_AT, HEADER, HEADER_SIZE, LENGTH_END
from wire.records.checksum import crc32c
from wire.records.compression import Compression, compress
from wire.records.varint import append_varint

NOW = 1_700_000_000_000
VALUES = (None, b"", b"v", b"value", b"\xff" * 40, bytes(200))
KEYS = (None, None, b"", b"k", b"key-1")
HEADER_KEYS = (b"", b"h", b"caf\xc3\xa9", b"trace-id")
MARKER_KEYS = (b"\x00\x00\x00\x00", b"\x00\x00\x00\x01", b"\x00\x00\x00\x05", b"\x00\x00", None)
MARKER_VALUES = (b"\x00\x00\x00\x00\x00\x07", b"\x00\x00", None, b"\xff\xff\x00\x00\x00\x00")
CODECS = tuple(Compression)


def zigzag(value: int) -> bytes:
    out = bytearray()
    append_varint(out, value)
    return bytes(out)


def body_sample(chance: Random, *, count: int, control: bool = False) -> Sample:
    """`count` records, one behind the other."""
    pieces: list[bytes] = []
    kinds: list[str] = []
    for number in range(count):
        record, letters = _record(chance, number, control)
        pieces += (zigzag(sum(map(len, record))), *record)
        kinds += ("z", *letters)
    return Sample(pieces, "".join(kinds))


def _record(chance: Random, number: int, control: bool) -> tuple[list[bytes], str]:
    pieces = [b"\0", zigzag(_draw(chance, (0, 0, 1, 5, -1))), zigzag(number)]
    kinds = "bzz"
    key = _draw(chance, MARKER_KEYS if control else KEYS)
    value = _draw(chance, MARKER_VALUES if control else VALUES)
    headers = _draw(chance, (0, 0, 0, 1, 2))
    contents = [key, value]
    for content in contents:
        kinds += _append(pieces, content)
    pieces.append(zigzag(headers))
    kinds += "z"
    for _ in range(headers):
        kinds += _append(pieces, _draw(chance, HEADER_KEYS))
        kinds += _append(pieces, _draw(chance, VALUES[:4]))
    return pieces, kinds


def _append(pieces: list[bytes], content: bytes | None) -> str:
    pieces.append(zigzag(-1 if content is None else len(content)))
    if content:
        pieces.append(content)
        return "zd"
    return "z"


def _draw(chance: Random, values):
    return values[int(chance.random() * len(values))]


def batch_sample(
    chance: Random,
    *,
    codec: Compression | None = None,
    control: bool = False,
    harm: float = 0.3,
    base_offset: int | None = None,
    producer_id: int | None = None,
) -> Sample:
    """A batch with a right checksum. `harm`: how often its body was changed before that."""
    if codec is None:
        codec = _draw(chance, CODECS)
    count = _draw(chance, (1, 1, 2, 3, 5, 0))
    body = body_sample(chance, count=count, control=control)
    if body.pieces and chance.random() < harm:
        if chance.random() < 0.6:
            content = change_pieces(body, body, chance)
        else:
            changed = bytearray(body.data)
            change_bytes(changed, body, chance)
            content = bytes(changed)
        body = Sample([content], "d")
    if codec is not Compression.NONE:
        body = Sample([compress(codec, body.data)], "d")
    attributes = codec | 0x20 * control
    if chance.random() < 0.1:
        attributes |= _draw(chance, (0x08, 0x10, 0x18, 0x40))
    if producer_id is None:
        producer_id = _draw(chance, (-1, -1, 7, 8))
    epoch, sequence = (-1, -1) if producer_id < 0 else (0, _draw(chance, (0, 1, 5)))
    if base_offset is None:
        base_offset = _draw(chance, (0, 0, 0, 5, 1 << 40))
    pieces = [
        pack(">q", base_offset),
        pack(">i", HEADER_SIZE - LENGTH_END + sum(map(len, body.pieces))),
        pack(">i", _draw(chance, (-1, 0, 3))),
        b"\x02",
        bytes(4),
        pack(">h", attributes),
        pack(">i", max(0, count - 1)),
        pack(">q", NOW),
        pack(">q", NOW + 5),
        pack(">q", producer_id),
        pack(">h", epoch),
        pack(">i", sequence),
        pack(">i", count),
        *body.pieces,
    ]
    pieces[4] = pack(">I", crc32c(b"".join(pieces[5:])))
    return Sample(pieces, "qiibihiqqqhii" + body.kinds)


def some_batch(chance: Random) -> bytes:
    """For the records field of a message."""
    return batch_sample(chance, harm=0.0).data


def repaired(data: bytes, chance: Random) -> bytes:
    """The same with a right length (sometimes) and a right checksum, so that what is behind them
    is looked at."""
    if len(data) < HEADER_SIZE:
        return data
    fixed = bytearray(data)
    if chance.random() < 0.7:
        fixed[8:12] = pack(">i", len(fixed) - LENGTH_END)
    size = int.from_bytes(fixed[8:12], "big", signed=True) + LENGTH_END
    end = size if HEADER_SIZE <= size <= len(fixed) else len(fixed)
    fixed[CRC_AT : CRC_AT + 4] = pack(">I", crc32c(memoryview(fixed)[ATTRIBUTES_AT:end]))
    return bytes(fixed)


def batches_sample(chance: Random) -> Sample:
    """One to three batches with ascending offsets, as a segment or a Fetch holds them."""
    pieces: list[bytes] = []
    kinds = ""
    offset = 0
    for _ in range(_draw(chance, (1, 1, 2, 3))):
        batch = batch_sample(chance, base_offset=offset, control=chance.random() < 0.15, harm=0.15)
        offset += HEADER.unpack_from(batch.data)[6] + 1
        pieces += batch.pieces
        kinds += batch.kinds
    return Sample(pieces, kinds)
