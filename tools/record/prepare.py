"""Bring a fresh Apache Kafka to the state in which scenarios begin.

kbroker gets no such help: it serves from its ready line on.
"""

from tools.record.player import Player
from tools.record.requests import init_producer_id, offset_commit
from wire.messages.find_coordinator import FindCoordinatorRequest


def prepare(host: str, port: int) -> None:
    """Wait until the coordinators serve: a broker makes their topics at the first question."""
    player = Player(host, port)
    try:
        for key_type in (0, 1):
            player.setup_send(FindCoordinatorRequest(key="prepare", key_type=key_type), 1)
        player.setup_send(offset_commit("prepare"), 2)
        player.setup_send(init_producer_id(), 0)
    finally:
        player.close()
