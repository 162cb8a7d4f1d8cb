"""Makes bad inputs of good ones: bytes and lengths changed, pieces lost, doubled or from elsewhere.

A `Sample` is a valid input in pieces, each a field with its kind, so that a change can hit a length
or an enumeration squarely; a plain text is one piece. Everything is drawn from one `Random`: the
same seed gives the same inputs.
"""

from __future__ import annotations

from random import Random
from struct import Struct
from typing import NamedTuple

MOST_BYTES = 1 << 16
"""An input does not grow beyond this."""

_SHORT = Struct(">h")
_INT = Struct(">i")
_LONG = Struct(">q")


class Sample(NamedTuple):
    """`kinds` has a letter for each piece: b, h, i, q for integers of 1, 2, 4 and 8 bytes, v and z
    for unsigned and zigzag varints, d for anything else."""

    pieces: list[bytes]
    kinds: str

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


def plain(data: bytes) -> Sample:
    """An input of which no structure is known."""
    return Sample([data], "d")


def lines(text: bytes) -> Sample:
    """Words and separators as pieces."""
    pieces: list[bytes] = []
    word = b""
    for number in text:
        letter = bytes([number])
        if letter.isalnum() or letter in b"_-.":
            word += letter
        else:
            pieces += [word, letter]
            word = b""
    return Sample([*pieces, word], "d" * (len(pieces) + 1))


VARINTS = (
    b"\x00",
    b"\x01",
    b"\x02",
    b"\x03",
    b"\x7f",
    b"\x80\x00",  # overlong zero
    b"\x81\x00",
    b"\x80\x01",
    b"\xff\x7f",
    b"\x80\x80\x02",
    b"\x80\x80\x80\x80\x00",
    b"\xff\xff\xff\xff\x07",
    b"\x80\x80\x80\x80\x08",
    b"\xff\xff\xff\xff\x0f",
    b"\xfe\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\x7f",
    b"\x80\x80\x80\x80\x80\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x80" * 12,
)
BYTES = tuple(bytes([value]) for value in (0, 1, 2, 3, 4, 5, 0x20, 0x7F, 0x80, 0xFE, 0xFF))
SHORTS = tuple(map(_SHORT.pack, (-1, 0, 1, 2, 3, 13, 127, 128, 255, 256, -2, 32766, 32767, -32768)))
INTS = tuple(
    map(
        _INT.pack,
        (-1, 0, 1, 2, 3, 49, 127, 255, 256, 65535, 65536, -2, 1 << 20, (1 << 31) - 1, -(1 << 31)),
    )
)
LONGS = tuple(
    map(
        _LONG.pack,
        (-1, 0, 1, 2, -2, -3, -6, 1 << 31, 1 << 32, (1 << 53) + 1, (1 << 63) - 1, -(1 << 63)),
    )
)
TEXTS = (
    b"",
    b"\x00",
    b"\xff",
    b"\xc3\xa9",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"-1",
    b"99999999999999999999",
    b"\n",
    b" ",
    b"\r\n",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xd9\xa3",
    b"1_0",
    b"..",
    b"=",
    b"\\",
    b"\\u00zz",
    b"x" * 300,
)
INTERESTING = {
    "b": BYTES,
    "h": SHORTS,
    "i": INTS,
    "q": LONGS,
    "v": VARINTS,
    "z": VARINTS,
    "d": TEXTS,
}
ANYWHERE = BYTES + SHORTS + INTS + LONGS + VARINTS + TEXTS[:12]


def mutated(sample: Sample, other: Sample, chance: Random) -> bytes:
    """`sample` with one to a few changes; `other` is what may be spliced in."""
    roll = chance.random()
    if len(sample.kinds) > 1 and roll < 0.6:
        data = change_pieces(sample, other, chance)
        if roll > 0.15:
            return data
    else:
        data = sample.data
    changed = bytearray(data)
    count = 1 + int(chance.random() * 3)
    for _ in range(count):
        change_bytes(changed, other, chance)
    return bytes(changed[:MOST_BYTES])


def change_pieces(sample: Sample, other: Sample, chance: Random) -> bytes:
    """One to three pieces replaced, left out, doubled or taken from another sample."""
    random = chance.random
    pieces = sample.pieces.copy()
    kinds = sample.kinds
    size = len(kinds)
    for _ in range(1 + int(random() * 3)):
        place = int(random() * size)
        roll = random()
        if roll < 0.7:
            values = INTERESTING[kinds[place]]
            pieces[place] = values[int(random() * len(values))]
        elif roll < 0.78:
            pieces[place] = b""
        elif roll < 0.86:
            pieces[place] *= 2
        elif roll < 0.93:
            pieces[place] = other.pieces[int(random() * len(other.pieces))]
        else:
            end = place + 1 + int(random() * 8)
            pieces[place] = b"".join(pieces[place:end]) * 2
    return b"".join(pieces)


def change_bytes(data: bytearray, other: Sample, chance: Random) -> None:
    """One change at a random place."""
    random = chance.random
    size = len(data)
    place = int(random() * size)
    roll = random()
    if not size or roll < 0.02:
        data += ANYWHERE[int(random() * len(ANYWHERE))]
    elif roll < 0.3:
        data[place] ^= 1 << int(random() * 8)
    elif roll < 0.45:
        data[place] = int(random() * 256)
    elif roll < 0.68:
        value = ANYWHERE[int(random() * len(ANYWHERE))]
        data[place : place + len(value)] = value
    elif roll < 0.76:
        data[place:place] = ANYWHERE[int(random() * len(ANYWHERE))]
    elif roll < 0.83:
        del data[place : place + 1 + int(random() * 8)]
    elif roll < 0.9:
        del data[place:]
    elif roll < 0.95:
        theirs = other.data
        data[place:] = theirs[int(random() * (len(theirs) + 1)) :]
    else:
        chunk = data[place : place + 1 + int(random() * 32)]
        data[place:place] = chunk * (1 + int(random() * 3))
