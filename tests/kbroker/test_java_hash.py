"""Hashes as Java's own, beyond ASCII and beyond the sign."""

from __future__ import annotations

import pytest

from kbroker.java_hash import java_hash


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0),
        ("a", 97),
        ("hello", 99162322),
        ("group", 98629247),
        ("polygenelubricants", 0x80000000),  # Integer.MIN_VALUE
        ("é", 233),
        ("😀", 31 * 0xD83D + 0xDE00),  # two UTF-16 units
    ],
)
def test_javas_hash_of_a_string(text: str, value: int) -> None:
    assert java_hash(text) == value
