"""Golden files: one scenario each, its exchanges as text.

# what the scenario is about

=== title of the step
Produce v9
acks: -1 ...
----
responses: ...
"""

from tools.record.player import Exchange
from tools.record.text import Tree, parse, render

STEP = "=== "
ANSWER = "----\n"


def file_name(scenario: str) -> str:
    """`produce/sequences` is kept in `produce/sequences.txt`."""
    return f"{scenario}.txt"


def write_golden(about: str, exchanges: list[Exchange]) -> str:
    """The whole text of a golden file."""
    comment = "".join(f"# {line.strip()}\n".replace("#  \n", "#\n") for line in about.splitlines())
    return "\n".join([comment, *(exchange_text(exchange) for exchange in exchanges)])


def exchange_text(exchange: Exchange) -> str:
    """One exchange, from its title to the end of its answer."""
    return f"{STEP}{exchange.title}\n{request_text(exchange)}{ANSWER}{render(exchange.answer)}"


def request_text(exchange: Exchange) -> str:
    """The request's head and fields."""
    return f"{exchange.head}\n{render(exchange.request)}"


def read_golden(text: str) -> dict[str, tuple[str, Tree]]:
    """`(the request's text, the answer)` of each exchange by its title, in order."""
    _, *steps = text.split(f"\n{STEP}")
    found = {}
    for step in steps:
        title, _, body = step.partition("\n")
        request, _, answer = body.partition(ANSWER)
        found[title] = request, parse(answer.strip("\n"))
    return found
