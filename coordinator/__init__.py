"""Replicated state machines of the coordinators: no I/O, no clock.

A shard's handlers read and produce records, `replay` alone changes persistent state, and
`kbroker.coordination` hosts the shards on `__consumer_offsets` and `__transaction_state`.
"""
