"""What goes wrong in a run, on purpose.

- `drawing`: the rows of the plan, from the seed
- `kinds`: the table of what can happen; `machine`, `storage`, `connections`, `surroundings`: how
- `nemesis`: makes them happen, and starts the broker again
"""

from simulator.faults.drawing import Fault, draw_faults

__all__ = ["Fault", "draw_faults"]
