"""What an action is: a function of a state that yields every way in which it can happen.

An action has the signature `action(state, broker_id, rules) -> Iterator[Step]` and yields nothing
where it cannot happen. A broker's actions are asked for each broker.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from simulator.model.rules import Rules
from simulator.model.state import NOBODY, State

NO_ARGUMENT = -1


class Label(NamedTuple):
    """The name of a step: who does what; the action's docstring says what the argument is."""

    action: str
    broker: int = NOBODY
    argument: int = NO_ARGUMENT

    def __str__(self) -> str:
        words = [self.action]
        if (self.broker, self.argument) != (NOBODY, NO_ARGUMENT):
            words.append("-" if self.broker == NOBODY else str(self.broker))
        if self.argument != NO_ARGUMENT:
            words.append(str(self.argument))
        return " ".join(words)


Step = tuple[Label, State]
Action = Callable[[State, int, Rules], Iterator[Step]]


def parse_label(text: str) -> Label:
    """The label of a line `action [broker [argument]]`; ValueError for any other.

    A broker of `-` is nobody.
    """
    action, *numbers = text.split()
    if len(numbers) > 2:
        raise ValueError(f"an action, a broker and an argument, not {text!r}")
    return Label(action, *(NOBODY if each == "-" else int(each) for each in numbers))
