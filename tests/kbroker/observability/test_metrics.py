"""/metrics of a broker that serves: each name that is promised, with the numbers that are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

from kbroker.observability.metric_names import METRICS, PROCESS_METRICS, Kind
from tests.kbroker.broker_harness import Client, Running, with_broker
from tests.kbroker.handlers.requests import (
    Target,
    api_versions,
    fetch,
    find_coordinator,
    metadata,
    offset_commit,
    produce,
)
from tests.kbroker.observability.http_client import Scrape, get

HTTP = "127.0.0.1:0"
BOARD = Path(__file__).resolve().parents[3] / "tools/grafana/kbroker.json"
SUFFIXES = ("_bucket", "_sum", "_count")
WORDS = re.compile(r"\b((?:kbroker|process)_[a-z0-9_]+)")
ONLY_OF_A_PROCESS = {"kbroker_loop_turn_seconds", "kbroker_loop_slow_turns_total"}
"""The harness brings a loop of its own, whose turns nobody sees; tests/process has these."""


async def scrape(broker: Running) -> Scrape:
    address = broker.broker.http_address
    assert address is not None
    status, text = await get(address, "/metrics")
    assert status == 200, text
    return Scrape(text)


async def some_load(client: Client) -> Target:
    target = Target("orders", await client.create("orders", partitions=2))
    for _ in range(3):
        await client.ask(produce(target, 9, b"value"), 9)
    await client.ask(produce(Target("missing", b""), 9), 9)
    await client.ask(fetch(target, 12), 12)
    await client.ask(find_coordinator(Target("g", b""), 4), 4)
    return target


def test_numbers() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = await some_load(client)
        waiting = await broker.client()
        waiting.send(fetch(target, 12, min_bytes=1 << 20, max_wait_ms=3_600_000), 12)
        await broker.until(lambda: any(each.waiting for each in broker.broker.server.connections))
        found = await scrape(broker)
        assert found.value("kbroker_ready") == 1
        assert found.value("kbroker_requests_total", api="Produce") == 4
        assert found.value("kbroker_request_seconds_count", api="Produce") == 4
        assert found.value("kbroker_request_seconds_bucket", api="Produce", le="+Inf") == 4
        assert (
            found.value(
                "kbroker_request_errors_total", api="Produce", error="UNKNOWN_TOPIC_OR_PARTITION"
            )
            == 1
        )
        assert found.value("kbroker_request_bytes_total", api="Produce") > 4 * 61
        assert found.value("kbroker_response_bytes_total", api="Fetch") > 3 * 61
        assert found.value("kbroker_connections", listener="PLAINTEXT") == 2
        assert found.value("kbroker_connections_accepted_total") == 2
        assert found.value("kbroker_requests_waiting") == 1
        assert found.value("kbroker_parked_fetches") == 1
        assert found.value("kbroker_topics") == 2
        assert found.value("kbroker_partitions") == 2 + 3
        assert found.value("kbroker_leader_partitions") == 2 + 3
        assert found.value("kbroker_under_replicated_partitions") == 0
        assert found.value("kbroker_under_min_isr_partitions") == 0
        assert found.value("kbroker_cluster_brokers") == 1
        assert found.value("kbroker_is_controller") == 1
        assert found.value("kbroker_membership", state="fresh") == 1
        assert found.value("kbroker_membership", state="lost") == 0
        assert found.value("kbroker_topic_records_total", topic="orders") == 3
        assert found.value("kbroker_topic_log_bytes", topic="orders") > 3 * 61
        assert found.value("kbroker_flush_seconds_count") >= 3
        assert found.value("kbroker_unflushed_records") == 0
        assert found.value("kbroker_topics_not_listed") == 0
        assert found.value("kbroker_log_directory_free_bytes") > 0
        waiting.close()

    with_broker(scenario, kbroker_http_listener=HTTP)


def test_only_so_many_topics_have_series_of_their_own() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        for name in ("c", "a", "b"):
            await client.create(name)
        found = await scrape(broker)
        listed = {
            sample.labels["topic"] for sample in found.families["kbroker_topic_log_bytes"].samples
        }
        assert listed == {"a", "b"}
        assert found.value("kbroker_topics_not_listed") == 1
        assert found.value("kbroker_topics") == 3

    with_broker(scenario, kbroker_http_listener=HTTP, kbroker_metrics_topics="2")


def test_every_name_that_is_promised_is_there_and_no_other() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await some_load(client)
        found = await scrape(broker)
        kinds = {name: family.type for name, family in found.families.items()}
        for metric in (*METRICS, *PROCESS_METRICS):
            if metric.name in ONLY_OF_A_PROCESS:
                continue
            name = metric.name
            if metric.kind is Kind.COUNTER:
                name = name.removesuffix("_total")
            assert kinds.pop(name, None) == metric.kind.value, metric.name
            for sample in found.families[name].samples:
                assert set(sample.labels) - {"le"} == set(metric.labels), metric.name
        assert kinds == {}

    with_broker(scenario, kbroker_http_listener=HTTP)


def test_names_are_well_formed() -> None:
    for metric in METRICS:
        assert metric.name.startswith("kbroker_")
        assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER), metric.name
        assert metric.doc.endswith("."), metric.name
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_the_board_asks_for_names_that_a_broker_renders() -> None:
    board = json.loads(BOARD.read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(queries) > 30
    queries += [variable.get("definition", "") for variable in board["templating"]["list"]]
    asked = {name for query in queries for name in WORDS.findall(query)}

    async def scenario(broker: Running, client: Client) -> None:
        await some_load(client)
        rendered = set((await scrape(broker)).names)
        for name in ONLY_OF_A_PROCESS:
            rendered |= {name, *(name + suffix for suffix in SUFFIXES)}
        assert asked <= rendered | {f"{name}_total" for name in rendered}

    with_broker(scenario, kbroker_http_listener=HTTP)


def test_the_board_shows_every_metric_and_its_panels_do_not_overlap() -> None:
    board = json.loads(BOARD.read_text())
    text = BOARD.read_text()
    for metric in METRICS:
        assert metric.name in text, metric.name
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert panel["type"] == "row" or panel["targets"], panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_a_group_counts_with_its_state() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        target = Target("orders", await client.create("orders"))
        await client.ask(find_coordinator(Target("g", b""), 4), 4)
        await client.ask(offset_commit(target, 8), 8)
        found = await scrape(broker)
        assert "kbroker_groups" in found.names

    with_broker(scenario, kbroker_http_listener=HTTP)


def test_reasons_to_hang_up_are_counted() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        for text in (b"\x7f\xff\xff\xff", b"\0\0\0\4\0\0\0\0", b"\0\0\0\12\0\0\0\2\0\0\0\0\0\0"):
            hostile = await broker.client()
            hostile.writer.write(text)
            assert await hostile.is_closed()
            hostile.close()
        await client.ask(api_versions(Target("", b""), 3), 3)
        await client.ask(metadata(Target("", b""), 4), 4)
        found = await scrape(broker)
        reasons = {
            reason: found.value("kbroker_connections_hung_up_total", reason=reason)
            for reason in ("too_large", "malformed", "unsupported", "idle")
        }
        assert reasons == {"too_large": 1, "malformed": 1, "unsupported": 1, "idle": 0}

    with_broker(scenario, kbroker_http_listener=HTTP)


def test_without_the_listener_nothing_is_measured() -> None:
    async def scenario(broker: Running, client: Client) -> None:
        await some_load(client)
        assert broker.broker.http_address is None

    with_broker(scenario)
