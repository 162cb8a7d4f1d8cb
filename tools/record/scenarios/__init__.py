"""The scenarios by name; the first part of a name is the folder of its golden file."""

from tools.record.replay import Scenario
from tools.record.scenarios import produce

SCENARIOS: dict[str, Scenario] = {
    **produce.SCENARIOS,
}
