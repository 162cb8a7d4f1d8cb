"""`python -m simulator.model`: looks for what breaks an invariant, with all rules or without one.

Exit status 0: what was to be expected: nothing with all rules, something without a rule.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence

from simulator.model.explorer import Exploration, Progress, search, walks, without_rules
from simulator.model.rules import ALL_RULES, Rule, Rules
from simulator.model.scenarios import played
from simulator.model.state import SMALL, Budget, initial
from simulator.model.story import told

WALKS = 2_000
CI_STATES = 20_000
CI_WALKS = 600
CI_WALKS_WITHOUT_A_RULE = 100


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    if options.ci or options.each_rule:
        figures, well = _everything(options)
    elif options.walks and options.states:
        parser.error("either --walks or --states, but for --ci and --each-rule")
    else:
        rules = without_rules(*options.rule_off)
        explored = _explored(rules, options)
        figures, well = _figures(explored), (explored.violation is None) == (rules == ALL_RULES)
        _say(_outcome(explored))
        if explored.violation:
            _say(told(explored.violation, rules))
    figures["seconds"] = round(time.perf_counter() - started, 1)
    _say(", ".join(f"{name} {value}" for name, value in figures.items()))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(figures, file)
    return 0 if well else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator.model", description=__doc__)
    parser.add_argument(
        "--rule-off", action="append", default=[], metavar="NAME", choices=sorted(Rule)
    )
    parser.add_argument("--walks", type=int, metavar="N", help=f"random walks ({WALKS})")
    parser.add_argument("--states", type=int, metavar="N", help="breadth first, up to N states")
    parser.add_argument("--seed", type=int, default=0, help="of the first walk")
    parser.add_argument("--json", metavar="FILE", help="writes the figures")
    all_rules = parser.add_mutually_exclusive_group()
    all_rules.add_argument("--ci", action="store_true", help="a slice of everything: 20 s")
    all_rules.add_argument(
        "--each-rule", action="store_true", help="with all rules, then without each"
    )
    return parser


def _everything(options: argparse.Namespace) -> tuple[dict[str, float], bool]:
    """All rules breadth first and by walks, then each rule off: the figures, and whether all is
    as it must be."""
    states = options.states or CI_STATES
    most_walks = options.walks or (CI_WALKS if options.ci else WALKS)
    # This budget is small enough for all that can happen within it.
    whole = search(initial(SMALL), ALL_RULES, most_states=states * 10, progress=_counter("states"))
    _say(f"all rules, a small budget: {_outcome(whole)}")
    breadth = search(initial(Budget()), ALL_RULES, most_states=states, progress=_counter("states"))
    _say(f"all rules, breadth first: {_outcome(breadth)}")
    wide = walks(Budget(), ALL_RULES, most_walks=most_walks, progress=_counter("walks"))
    _say(f"all rules: {_outcome(wide)}")
    for explored in (whole, breadth, wide):
        if explored.violation:
            _say(told(explored.violation, ALL_RULES))
    most = CI_WALKS_WITHOUT_A_RULE if options.ci else most_walks
    found = [_rule_found(rule, most) for rule in Rule]
    figures: dict[str, float] = {
        "states": whole.states + breadth.states,
        "complete": whole.complete,
        "walks": wide.walks,
        "steps": whole.steps + breadth.steps + wide.steps,
        "rules": len(found),
        "rules_found": sum(by_walk or by_scenario for by_walk, by_scenario in found),
        "rules_found_by_walks": sum(by_walk for by_walk, _ in found),
    }
    well = not any(explored.violation for explored in (whole, breadth, wide))
    return figures, well and all(by_scenario for _, by_scenario in found)


def _rule_found(rule: Rule, most_walks: int) -> tuple[bool, bool]:
    """Whether the lack of a rule shows in walks, and in the rule's scenario: there it must."""
    rules = without_rules(rule)
    explored = walks(Budget(), rules, most_walks=most_walks, progress=_counter("walks"))
    scenario = played(rule, rules)
    by_walks = f"walk {explored.walks}" if explored.violation else f"no walk of {most_walks}"
    by_scenario = scenario.invariant if scenario else "NOTHING"
    _say(f"without {rule}: {by_walks}; the scenario breaks {by_scenario}")
    return explored.violation is not None, scenario is not None


def _explored(rules: Rules, options: argparse.Namespace) -> Exploration:
    if options.states:
        start = initial(Budget())
        return search(start, rules, most_states=options.states, progress=_counter("states"))
    return walks(
        Budget(),
        rules,
        most_walks=options.walks or WALKS,
        progress=_counter("walks"),
        first_seed=options.seed,
    )


def _figures(explored: Exploration) -> dict[str, float]:
    return {"states": explored.states, "walks": explored.walks, "steps": explored.steps}


def _outcome(explored: Exploration) -> str:
    how = "all there are" if explored.complete else "breadth first"
    if explored.walks:
        how = f"{explored.walks} walks"
    size = f"{explored.states} states ({how}), {explored.steps} steps"
    violation = explored.violation
    return f"{size}: {violation.invariant if violation else 'no invariant is broken'}"


def _counter(of_what: str) -> Progress:
    """Shows how far it is, on a terminal alone."""

    def show(count: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{count} {of_what} \r")
            sys.stderr.flush()

    return show


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
