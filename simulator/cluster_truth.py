"""What the shared store of a cluster holds at this moment, decoded: whatever brokers believe.

Counterparts: `shared_store` (where it is read, at once), `cluster_invariants` (what is held to it).
"""

from __future__ import annotations

from collections.abc import Mapping

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_image import BrokerImage, MetadataImage
from kbroker.cluster.metadata_records import PartitionRecord
from simulator.shared_store import SharedStore

CLUSTER = "kbroker"

PartitionId = tuple[str, int]
"""Topic and index; topics that are recreated take no part."""


class Truth:
    """Mutable: it remembers the newest revision that it has decoded."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._keys = Keys(CLUSTER)
        self._image = MetadataImage(self._keys)

    @property
    def image(self) -> MetadataImage:
        """Not to be kept: the next look may change it."""
        if self._image.revision != self._store.revision:
            self._image.replace_with(self._store.read_all(self._keys.prefix))
        return self._image

    def partitions(self) -> Mapping[PartitionId, PartitionRecord]:
        image = self.image
        return {
            (topic.name, index): record
            for _, topic in sorted(image.topics.items())
            for index, record in topic.partitions.items()
        }

    def brokers(self) -> Mapping[int, BrokerImage]:
        return self.image.brokers

    def controller(self) -> int | None:
        """None: the office is free."""
        return self.image.controller_id
