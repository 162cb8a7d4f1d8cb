"""What producers draw: values that are told before they are sent, and never come twice."""

from simulator.workload.requests import values_in
from simulator.workload.sending import LARGE_BYTES, Source
from tests.simulator.world_harness import play


def test_values_are_new_and_known_to_the_history() -> None:
    async def scene(stage) -> None:
        world = stage.world
        source = Source(world, "p", world.chance("p"))
        for partition in source.partitions:
            world.ledger.promise(partition, is_flushed=True)
        partition = source.partitions[0]
        batches = [source.batch(partition, "p") for _ in range(200)]
        values = [value for batch in batches for value in batch.values]
        assert len(set(values)) == len(values) == len(world.ledger.history.sends)
        assert max(map(len, values)) == LARGE_BYTES
        for batch in batches:
            assert [value for _, value in values_in(memoryview(batch.data))] == batch.values
        source.acknowledged(batches[0], 0)
        assert world.ledger.bounds(partition).high_watermark == len(batches[0].values)

    play(scene)
