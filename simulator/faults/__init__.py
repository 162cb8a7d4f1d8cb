"""What goes wrong in a run, on purpose.

- `drawing`, `cluster_drawing`: the rows of the plan, from the seed
- `kinds`: the table of what can happen; `machine`, `storage`, `connections`, `surroundings`: how
- `nemesis`: makes them happen, and starts the broker again
- `cluster_nemesis`, `cluster_kinds`: the same for several brokers; `brokers`, `store`: how
"""

from simulator.faults.cluster_drawing import draw_cluster_faults
from simulator.faults.drawing import Fault, draw_faults

__all__ = ["Fault", "draw_cluster_faults", "draw_faults"]
