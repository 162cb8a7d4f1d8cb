"""The group coordinator's state machine: `shard` is one partition of `__consumer_offsets`.

- `classic`: members that join, and a leader among them that assigns. `timers` are their deadlines;
  a `turn` collects what one call has decided.
- `offsets`: what groups have committed; `commit`, `expiry`: how it comes and goes.
- `records`: the records that both are made of. `describe`: what others may see.
"""
