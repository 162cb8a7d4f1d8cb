"""Partitions and their replicas: `partition` (pure) decides, `replica_manager` owns them all,
`fetch_session` (pure) remembers what a consumer fetches."""
