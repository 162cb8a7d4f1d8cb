"""Java's `String.hashCode`, by which Kafka spreads groups and transactional ids over partitions."""

from __future__ import annotations


def java_hash(text: str) -> int:
    """Java's `String.hashCode` as an unsigned 32-bit number (over UTF-16 units)."""
    value = 0
    units = text.encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return value
