"""What the shared store holds, whatever anybody believes."""

import asyncio
import random

from kbroker.cluster.controller import Controller
from kbroker.config.broker_config import BrokerConfig
from kbroker.live_configs import topic_defaults
from simulator.cluster_truth import CLUSTER, Truth
from simulator.loop import SimulatedLoop
from simulator.shared_store import Link, SharedStore


def test_it_is_read_at_once_and_anew_after_each_change() -> None:
    async def scene() -> None:
        store = SharedStore(random.Random(1))
        truth = Truth(store)
        assert truth.partitions() == {}
        assert truth.controller() is None
        client = store.client("one", Link())
        controller = Controller(
            client, CLUSTER, 1, random.Random(2), defaults=topic_defaults(BrokerConfig())
        )
        await controller.create_cluster()
        assert truth.image.cluster is not None
        assert truth.image.revision == store.revision

    loop = SimulatedLoop(random.Random(1))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(scene())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
