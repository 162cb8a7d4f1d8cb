"""Which workers take part in a run, by its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.workload import aiokafka_client
from simulator.workload.aiokafka_members import AiokafkaMember, Progress
from simulator.workload.aiokafka_producers import AiokafkaProducer
from simulator.workload.committers import Committer
from simulator.workload.final import FinalReader
from simulator.workload.group_members import GroupMember
from simulator.workload.group_rules import GroupRules
from simulator.workload.idempotent import IdempotentProducer
from simulator.workload.producers import PlainProducer
from simulator.workload.readers import Reader
from simulator.workload.record_deleters import RecordDeleter
from simulator.workload.topic_admins import TopicAdmin
from simulator.workload.topics import draw_topics
from simulator.workload.worker import Worker

if TYPE_CHECKING:
    from simulator.world import World


def draw_workers(world: World) -> list[Worker]:
    """In the order in which they are prepared."""
    options = world.plan.options
    workers: list[Worker] = [FinalReader(world, "final")]
    workers += [PlainProducer(world, f"producer-{number}") for number in range(options.producers)]
    workers += [
        IdempotentProducer(world, f"idempotent-{number}")
        for number in range(options.idempotent_producers)
    ]
    workers += [Reader(world, f"reader-{number}") for number in range(options.readers)]
    workers += [Committer(world, f"committer-{number}") for number in range(options.committers)]
    admins: list[Worker] = [TopicAdmin(world, "topics"), RecordDeleter(world, "record-deleter")]
    workers += world.chance("admins").sample(admins, k=options.admins)
    for number in range(options.groups):
        workers += _draw_members(world, f"group-{number}")
    if options.aiokafka:
        workers += _draw_aiokafka(world)
    return workers


def _draw_members(world: World, group: str) -> list[Worker]:
    """All of one group read the same topics."""
    topics = draw_topics(world.plan)
    chance = world.chance(group)
    some = tuple(chance.sample(topics, chance.randint(1, len(topics))))
    rules = GroupRules(group)
    return [
        GroupMember(world, f"{group}-member-{number}", rules, some)
        for number in range(world.plan.options.members)
    ]


def _draw_aiokafka(world: World) -> list[Worker]:
    """None where it is not installed."""
    if not aiokafka_client.is_installed():
        world.note("aiokafka takes no part: it is not installed")
        world.counts["aiokafka is not installed"] += 1
        return []
    chance = world.chance("aiokafka")
    topics = draw_topics(world.plan)
    some = tuple(chance.sample(topics, chance.randint(1, len(topics))))
    progress = Progress("aiokafka-group")
    producer = AiokafkaProducer(world, "aiokafka-producer")
    members = [
        AiokafkaMember(world, f"aiokafka-member-{number}", progress, some)
        for number in range(chance.randint(1, 2))
    ]
    return [producer, *members]
