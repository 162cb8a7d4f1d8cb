"""InitProducerId, and the sequence numbers of idempotent producers (KIP-98, KIP-360)."""

from tools.record.batches import batch
from tools.record.player import Player
from tools.record.requests import fetch, fetch_part, init_producer_id, list_offsets, produce
from wire.messages.init_producer_id import InitProducerIdResponse
from wire.messages.produce import ProduceRequest

LAST_SEQUENCE = 2**31 - 1
INIT_VERSIONS = range(6)


def init_versions(kafka: Player) -> None:
    """Every version gives a new producer id with epoch 0."""
    for version in INIT_VERSIONS:
        kafka.send(f"version {version}", init_producer_id(), version)
    kafka.send("no timeout", init_producer_id(timeout_ms=0), 4)
    kafka.send("a negative timeout", init_producer_id(timeout_ms=-1), 4)
    kafka.send("an enormous timeout", init_producer_id(timeout_ms=2**31 - 1), 4)


def init_again(kafka: Player) -> None:
    """An id and epoch without a transactional id: the id is not looked at, or the pair is wrong."""
    producer_id, epoch = _new_producer(kafka, "a new one")
    for version in (3, 4, 5):
        request = init_producer_id(producer_id=producer_id, producer_epoch=epoch)
        kafka.send(f"the same, version {version}", request, version)
    for title, wrong_id, wrong_epoch in (
        ("a higher epoch", producer_id, 5),
        ("an unknown id", 4_242_424_242, 0),
        ("an id without an epoch", producer_id, -1),
        ("an epoch without an id", -1, 0),
        ("a negative id", -5, 0),
        ("a negative epoch", producer_id, -5),
    ):
        request = init_producer_id(producer_id=wrong_id, producer_epoch=wrong_epoch)
        kafka.send(title, request, 4)


def init_bad_transactional(kafka: Player) -> None:
    """Transactional ids that cannot be: an empty one, and timeouts out of range."""
    kafka.send("an empty id", init_producer_id(""), 4)
    kafka.send("an empty id, version 0", init_producer_id(""), 0)


def sequences(kafka: Player) -> None:
    """Duplicates are answered with their first offset; gaps and old batches are refused."""
    topic = "producer-sequences"
    kafka.setup_topic(topic)
    producer_id, epoch = _new_producer(kafka, "the producer")

    def send(title: str, sequence: int, *values: str, version: int = 9) -> None:
        records = batch(
            *values, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence
        )
        kafka.send(title, produce(topic, records), version)

    send("first", 0, "a")
    send("first again", 0, "a")
    send("first again, version 3", 0, "a", version=3)
    send("first again with other records", 0, "A")
    send("two records", 1, "b", "c")
    send("two records again", 1, "b", "c")
    send("the first of two again", 1, "b")
    send("the second of two again", 2, "c")
    send("three from the first of two", 1, "b", "c", "d")
    send("a gap", 4, "e")
    send("a gap, version 3", 4, "e", version=3)
    send("a wide gap", 1000, "e")
    for number in range(3, 8):
        send(f"sequence {number}", number, str(number))
    send("the fifth last again", 3, "3")
    send("the sixth last again", 1, "b", "c")
    send("the first once more", 0, "a")
    send("no sequence", -1, "x")
    send("a negative sequence", -2, "x")
    kafka.send("what is there", fetch(fetch_part(topic, 0)), 11)


def epochs(kafka: Player) -> None:
    """A higher epoch starts again from sequence 0; a lower one is fenced."""
    topic = "producer-epochs"
    kafka.setup_topic(topic)
    producer_id, _ = _new_producer(kafka, "the producer")

    def send(title: str, epoch: int, sequence: int, version: int = 9) -> None:
        records = batch(producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)
        kafka.send(title, produce(topic, records), version)

    send("epoch 3, sequence 0", 3, 0)
    send("epoch 2, sequence 0", 2, 0)
    send("epoch 2, sequence 1", 2, 1)
    send("epoch 2, sequence 1, version 3", 2, 1, version=3)
    send("epoch 4, sequence 1", 4, 1)
    send("epoch 4, sequence 0", 4, 0)
    send("epoch 4, sequence 0 again", 4, 0)
    send("epoch 3, sequence 1", 3, 1)
    send("epoch 4, sequence 1 then", 4, 1)
    send("epoch -1", -1, 2)
    send("epoch 32767", 32767, 0)
    kafka.send("what is there", fetch(fetch_part(topic, 0)), 11)


def beginnings(kafka: Player) -> None:
    """A producer that the partition does not know may begin at any sequence; they wrap at 2^31."""
    topic = "producer-beginnings"
    kafka.setup_topic(topic, partitions=2)
    producer_id, epoch = _new_producer(kafka, "the producer")

    def send(title: str, sequence: int, *values: str, partition: int = 0) -> None:
        records = batch(
            *values, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence
        )
        kafka.send(title, produce(topic, records, partition=partition), 9)

    send("from the middle", 100, "a")
    send("then the next", 101, "b")
    send("the other partition counts by itself", 0, "a", partition=1)
    producer_id, epoch = _new_producer(kafka, "a second producer")
    send("from the last sequences", LAST_SEQUENCE - 1, "a", "b")
    send("after the wrap", 0, "c")
    send("after the wrap again", 0, "c")
    producer_id, epoch = _new_producer(kafka, "a third producer")
    send("a batch across the wrap", LAST_SEQUENCE, "a", "b", "c")
    send("a batch across the wrap again", LAST_SEQUENCE, "a", "b", "c")
    send("after it", 2, "d")
    kafka.send("what is there", fetch(fetch_part(topic, 0)), 11)


def made_up(kafka: Player) -> None:
    """Ids that InitProducerId never gave, and batches with half of the fields."""
    topic = "producer-made-up"
    kafka.setup_topic(topic)
    for title, producer_id, epoch, sequence in (
        ("an id never given", 9_000_000, 0, 0),
        ("an id without an epoch", 9_000_001, -1, 0),
        ("an id without a sequence", 9_000_002, 0, -1),
        ("an id alone", 9_000_003, -1, -1),
        ("an epoch alone", -1, 0, -1),
        ("a sequence alone", -1, -1, 0),
        ("a negative id", -7, 0, 0),
        ("a negative epoch", 9_000_004, -7, 0),
    ):
        records = batch(producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)
        kafka.send(title, produce(topic, records), 9)
    kafka.send("where it ends", list_offsets(topic, -1), 7)


def by_version(kafka: Player) -> None:
    """Every version of Produce tells duplicates and gaps in the same way."""
    topic = "producer-by-version"
    topic_id = kafka.setup_topic(topic)
    producer_id, epoch = _new_producer(kafka, "the producer")
    for sequence, version in enumerate(ProduceRequest.VERSIONS):
        name = topic_id if version >= 13 else topic
        for title, at in (("", sequence), (" again", sequence), (" with a gap", sequence + 2)):
            records = batch(producer_id=producer_id, producer_epoch=epoch, base_sequence=at)
            kafka.send(f"version {version}{title}", produce(name, records), version)


def _new_producer(kafka: Player, title: str) -> tuple[int, int]:
    answer = kafka.send(title, init_producer_id(), 4)
    assert isinstance(answer, InitProducerIdResponse)
    return answer.producer_id, answer.producer_epoch


SCENARIOS = {
    "producer/init_versions": init_versions,
    "producer/init_again": init_again,
    "producer/init_bad_transactional": init_bad_transactional,
    "producer/sequences": sequences,
    "producer/epochs": epochs,
    "producer/beginnings": beginnings,
    "producer/made_up": made_up,
    "producer/by_version": by_version,
}
