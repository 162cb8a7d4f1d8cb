"""One scenario played on a broker and compared with what Apache Kafka answered.

Messages for people (`error_message`) are compared by whether Kafka has one: clients do not parse
them, Kafka rewords them freely, and kbroker may say something where Kafka is silent. The scenarios
in `EXACT_MESSAGES` compare them word for word, because they are what a user of Kafka's own tools
reads on the screen.
"""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from tools.record.compare import Difference, compare
from tools.record.deviations import Deviation
from tools.record.golden import read_golden, request_text
from tools.record.player import Exchange, Player

Scenario = Callable[[Player], None]

EXACT_MESSAGES: tuple[str, ...] = (
    "create_topics/*",
    "delete_topics/*",
    "configs_describe/*",
    "configs_topics/*",
    "configs_groups/*",
    "create_partitions/*",
    "reassignments/*",
    "elect_leaders/*",
    "update_features/*",
    "client_quotas/*",
    "scram_credentials/*",
    "acls/*",
    "describe_quorum/*",
    "describe_producers/*",
)


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
    recorded = read_golden(golden)
    found: list[str] = []
    needed: set[Deviation] = set()
    for exchange in exchanges:
        if exchange.title not in recorded:
            found.append(f"{exchange.title}: never recorded")
            continue
        request, answer = recorded.pop(exchange.title)
        if request != request_text(exchange):
            found.append(f"{exchange.title}: another request was recorded")
            continue
        unexcused = []
        for difference in compare(answer, exchange.answer):
            if _is_only_wording(name, difference):
                continue
            rows = [row for row in deviations if row.excuses(name, exchange.title, difference)]
            needed.update(rows)
            if not rows:
                unexcused.append(str(difference))
        if unexcused:
            found.append("\n".join([f"{exchange.title} ({exchange.head})", *unexcused]))
    found += [f"{title}: recorded, but not played" for title in recorded]
    return found, needed


def _is_only_wording(name: str, difference: Difference) -> bool:
    if not difference.path.endswith("error_message"):
        return False
    if any(fnmatchcase(name, pattern) for pattern in EXACT_MESSAGES):
        return False
    return isinstance(difference.ours, str) or not difference.kafka
