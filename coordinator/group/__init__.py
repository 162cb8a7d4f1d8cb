"""The group coordinator's state machine: `shard` is one partition of `__consumer_offsets`,
`offsets` what groups have committed, `records` the records that both are made of."""
