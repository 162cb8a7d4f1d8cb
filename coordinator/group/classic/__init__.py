"""The classic group protocol, one module for each of its steps.

`group` and `member` are what a group is; `rebalance` moves it from state to state; `join`,
`static`, `sync`, `heartbeat` and `leave` are the members' requests; `stored` is its record.
"""
