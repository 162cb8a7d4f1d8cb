"""Partitions and their replicas: `partition` (pure) decides, `replica_manager` owns them all,
`partition_making` makes new ones, `checkpointing` writes down how far they are,
`fetch_session` (pure) remembers what a consumer fetches."""
