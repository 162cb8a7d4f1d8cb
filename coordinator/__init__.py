"""Replicated state machines without I/O or clock: handlers produce records, replay applies them.

- `outcome`: what a handler gives back to the host (`kbroker.coordination`).
- `group`: the groups of a partition of `__consumer_offsets`, their members and offsets.
"""
