"""Every state that a power loss can leave on the disk, opened by recovery and checked.

`python -m simulator.crash_states --states N` records workloads on a simulated disk, and at each
change of it enumerates what could be left.

- `recorder`: a data directory in use, what it has promised, and the moments at which power may go.
- `workloads`: what is done with it, by name.
- `checking`: what must hold of a directory that was opened after a crash.
- `enumeration`: moments times outcomes, counted; one state by its name.
- `__main__`: the command.
"""
