"""The rules of replication as an explicit-state model: one partition, three brokers, no clock.

- `rules`: the rules by name, each of which can be switched off; `state`: the values of a state.
- `replication`, `metadata_store`, `controller`, `lifecycle`: what can happen, an action a function;
  `actions`: the table of them; `steps`: what an action is.
- `invariants`: what must hold in every state; `explorer`: looks for a state in which it does not.
- `acceptance`: whether what was seen of a cluster is something that the model allows.
- `scenarios`: short traces, one for each rule, that break an invariant without it.
- `__main__`: the command.
"""
