"""Asks a broker of this process, or another one, over HTTP; reads what /metrics answers."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families


async def get(address: tuple[str, int], path: str) -> tuple[int, str]:
    """Status and body."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    data = await reader.read()
    writer.close()
    head, _, body = data.decode().partition("\r\n\r\n")
    return int(head.split(" ")[1]), body


class Scrape:
    """What /metrics answered."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    @property
    def names(self) -> set[str]:
        """Of the samples, and of the families that have none."""
        empty = {name for name, family in self.families.items() if not family.samples}
        return {name for name, _ in self.samples} | empty

    def value(self, name: str, **labels: str) -> float:
        """Of one series; 0 where there is none."""
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)
