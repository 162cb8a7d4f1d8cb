"""Topics that this broker has not heard of yet: the store is asked once before they are unknown.

A client that creates a topic through one broker may use it through another at once, though the
news of it travels by a watch. What was not there either is remembered for a moment, so that a
client that asks for what nobody has costs the store little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_cache import MetadataCache
from kbroker.cluster.metadata_records import decode_topic_name
from kbroker.cluster.metadata_store import MetadataStore, MetadataStoreError

UNKNOWN_FOR_S = 1.0
MAX_REMEMBERED = 10_000
MAX_ASKED = 100
"""Names of one request that the store is asked about; the client asks again for others."""


class TopicLookup:
    """Mutable: it remembers what was not there. `loop_time`: seconds that never step back."""

    def __init__(
        self,
        store: MetadataStore,
        keys: Keys,
        metadata: MetadataCache,
        loop_time: Callable[[], float],
    ) -> None:
        self._store = store
        self._keys = keys
        self._metadata = metadata
        self._loop_time = loop_time
        self._unknown_until: dict[str, float] = {}

    def worth_asking(self, names: Iterable[str]) -> list[str]:
        """Those of the names that neither the image nor the last moment's answers know."""
        now = self._loop_time()
        known = self._metadata.image.topic_ids
        unknown = self._unknown_until
        return [each for each in names if each not in known and unknown.get(each, now) <= now][
            :MAX_ASKED
        ]

    async def find(self, names: Iterable[str]) -> None:
        """Return once the image shows those that there are. A store that cannot be asked is none
        that knows better."""
        for name in names:
            try:
                revision = await self._revision_of(name)
                if revision:
                    await self._metadata.reach(revision)
                else:
                    self._remember(name)
            except MetadataStoreError:
                return

    async def _revision_of(self, name: str) -> int:
        """Of the key by which the topic exists; 0 where there is none."""
        holder = await self._store.get(self._keys.topic_name(name))
        if holder is None:
            return 0
        record = decode_topic_name(holder.value)
        if record.name != name:  # another's, with which this one would collide
            return 0
        topic = await self._store.get(self._keys.topic(record.topic_id))
        return 0 if topic is None else topic.mod_revision

    def _remember(self, name: str) -> None:
        if len(self._unknown_until) >= MAX_REMEMBERED:
            self._unknown_until.clear()
        self._unknown_until[name] = self._loop_time() + UNKNOWN_FOR_S
