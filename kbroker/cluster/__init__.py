"""Cluster metadata: where it is kept, what it says, and who may change it.

- `metadata_store.py`   the store's interface, with etcd's semantics
- `revisioned_map.py`   those semantics as a pure map (memory and SQLite share it)
- `memory_store.py`     the store in this process; durable when given a journal
- `sqlite.py`           the journal of a single node; the only importer of sqlite3
- `keys.py`             which key holds what
- `metadata_records.py` the values behind the keys, as canonical JSON
- `metadata_image.py`   all of it, decoded: what a broker believes (pure)
- `metadata_cache.py`   keeps an image current by following the store's watch
- `placement.py`        which broker gets which replica (pure)
- `elections.py`        who leads next (pure)
- `topic_names.py`      what a topic may be called (pure)
- `topic_ids.py`        Kafka's text form of 16-byte ids (pure)
- `partition_changes.py` many changes of partitions, written in batches
- `membership.py`       a broker's lease, registration and admission, for as long as it runs
- `lease_file.py`       the lease's id, for the next start
- `requested_elections.py` elections that a person asks for
- `controller_duties.py` what the controller does unasked
- `controller.py`       every change of topics, leaders and producer-id blocks
"""
