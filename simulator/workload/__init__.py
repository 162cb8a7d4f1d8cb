"""Who uses the broker in a run. `worker` is the interface, `drawing` says who takes part."""

from simulator.workload.drawing import draw_workers
from simulator.workload.worker import Worker

__all__ = ["Worker", "draw_workers"]
