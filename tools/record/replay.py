"""One scenario played on a broker and compared with what Apache Kafka answered.

Messages for people (`error_message`) are compared by whether there is one: clients do not parse
them, and Kafka rewords them freely. The scenarios in `EXACT_MESSAGES` compare them word for word,
because they are what a user of Kafka's own tools reads on the screen.
"""

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from tools.record.deviations import ANYTHING, Deviation
from tools.record.golden import exchange_text, read_golden
from tools.record.player import Exchange, Player
from tools.record.text import Tree, inline

Scenario = Callable[[Player], None]

EXACT_MESSAGES: tuple[str, ...] = ("create_topics/*", "delete_topics/*")
MESSAGE = re.compile(r'(error_message: )"(?:[^"\\]|\\.)*"')
API_KEY = re.compile(r"^ *- \{api_key: (\d+), .*\n", re.MULTILINE)


def play(scenario: Scenario, host: str, port: int) -> list[Exchange]:
    """All exchanges of a scenario on the broker at this address."""
    player = Player(host, port)
    try:
        scenario(player)
    finally:
        player.close()
    return player.exchanges


def differences(
    name: str, exchanges: list[Exchange], golden: str, deviations: Iterable[Deviation]
) -> tuple[list[str], set[Deviation]]:
    """`(one text for each step that differs, the deviations that were needed)`."""
    expected = read_golden(golden)
    found = []
    needed: set[Deviation] = set()
    for exchange in exchanges:
        ours = exchange
        whole = False
        for deviation in deviations:
            if fnmatchcase(name, deviation.scenario) and fnmatchcase(
                exchange.title, deviation.step
            ):
                answer = _undone(ours.answer, "", deviation)
                if answer is not ours.answer:
                    needed.add(deviation)
                    whole = whole or deviation.kafka is ANYTHING
                ours = Exchange(ours.title, ours.head, ours.request, answer)
        kafkas = expected.pop(exchange.title, f"=== {exchange.title}: never recorded\n")
        if not whole and _comparable(name, kafkas, ours) != _comparable(
            name, exchange_text(ours), ours
        ):
            found.append(f"{kafkas}++++ kbroker\n{exchange_text(ours).partition('----')[2]}")
    found += [f"=== {title}: recorded, but not played\n" for title in expected]
    return found, needed


def _undone(tree: Tree, path: str, deviation: Deviation) -> Tree:
    """The tree with Kafka's value where the deviation has ours; the same object if nowhere."""
    if fnmatchcase(path, deviation.path) and inline(tree) == inline(deviation.ours):
        return deviation.kafka
    if isinstance(tree, dict):
        changed = {key: _undone(value, _join(path, key), deviation) for key, value in tree.items()}
        return changed if any(changed[key] is not tree[key] for key in tree) else tree
    if isinstance(tree, list):
        elements = [
            _undone(value, _join(path, str(at)), deviation) for at, value in enumerate(tree)
        ]
        return elements if any(a is not b for a, b in zip(elements, tree, strict=True)) else tree
    return tree


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _comparable(name: str, text: str, ours: Exchange) -> str:
    if not any(fnmatchcase(name, pattern) for pattern in EXACT_MESSAGES):
        text = MESSAGE.sub(r"\1<text>", text)
    if ours.head.startswith("ApiVersions"):
        # Only what is served is advertised, so compare the ranges of the keys that both have.
        served = set(API_KEY.findall(exchange_text(ours)))
        text = API_KEY.sub(lambda match: match[0] if match[1] in served else "", text)
    return text
