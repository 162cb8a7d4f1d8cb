"""Known bugs, put back one at a time, each as a patch: the simulator must find every one of them.

- `table` (a single broker's) and `replication_table`: the bugs, and how each is found;
  `patches/<name>.patch`: the bug itself.
- `harness`: a copy of the sources, the patch, and the search. `python -m simulator.mutants`.
"""
