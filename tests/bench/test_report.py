"""Figures are judged by the ratio within a pair, so that a slow minute hits both sides alike."""

from __future__ import annotations

import json

from bench.generator import Sample
from bench.loads import BYTES, LOADS, REQUESTS, Load
from bench.report import as_json, cpu_ratio, paired_ratio, spread_of, start_lines, table
from bench.runner import Figures, StartSample


def sample(rate: float, *, cpu: float = 0.1, broker_cpu: float = 0.4) -> Sample:
    return Sample(
        kind="produce",
        requests=1000,
        errors=0,
        first_error=0,
        seconds=1.0,
        payload_bytes=170.0,
        requests_per_second=rate,
        bytes_per_second=rate * 1e6,
        p50_us=50.0,
        p99_us=100.0,
        p999_us=200.0,
        cpu_seconds=cpu,
        broker_cpu_seconds=broker_cpu,
    )


def load(unit: str, reach: float) -> Load:
    return Load("x", "100 B one by one", "produce", (), unit, reach)


def test_a_spread_is_half_the_distance_of_the_extremes() -> None:
    spread = spread_of([90.0, 100.0, 130.0])
    assert (spread.median, spread.percent) == (100.0, 20.0)


def test_ratios_are_taken_within_pairs_and_pairs_without_a_partner_are_left_out() -> None:
    floor = {0: sample(100), 1: sample(50)}
    measured = {0: sample(50), 1: sample(25), 2: sample(1)}
    ratio = paired_ratio(measured, floor, "requests_per_second")
    assert ratio is not None
    assert (ratio.median, ratio.lowest, ratio.highest) == (0.5, 0.5, 0.5)
    assert paired_ratio({3: sample(1)}, floor, "requests_per_second") is None


def test_the_table_says_whether_the_reach_holds() -> None:
    figures = Figures()
    row = load(REQUESTS, reach=1 / 3)
    figures.samples["x", "floor"][0] = sample(10_000)
    figures.samples["x", "kbroker"][0] = sample(3_400)
    lines = table(figures, [row], "floor", ["kbroker"])
    assert [
        line for line in lines if "kbroker" in line and "0.34 (0.34-0.34)" in line and "yes" in line
    ]
    figures.samples["x", "kbroker"][0] = sample(3_300)
    lines = table(figures, [row], "floor", ["kbroker"])
    assert [line for line in lines if "kbroker" in line and "NO" in line]


def test_rows_judged_by_bytes_print_bytes() -> None:
    figures = Figures()
    figures.samples["x", "floor"][0] = sample(2_000)
    lines = table(figures, [load(BYTES, reach=0.7)], "floor", ["kbroker"])
    assert any("2,000.0 MB/s" in line for line in lines)
    assert any("no figure" in line for line in lines)


def test_one_reason_for_several_missing_rows_is_one_line() -> None:
    figures = Figures()
    figures.failures["a", "kbroker"] = "did not start"
    figures.failures["b", "kbroker"] = "did not start"
    assert table(figures, [], "floor", [])[-1] == "kbroker has no a, b: did not start"


def test_a_load_that_costs_as_much_as_the_broker_is_marked() -> None:
    assert cpu_ratio([sample(1, cpu=0.1, broker_cpu=0.4)]) == "0.25"
    assert cpu_ratio([sample(1, cpu=0.4, broker_cpu=0.4)]) == "1.00 !"
    assert cpu_ratio([sample(1, broker_cpu=0.0)]) == "-"


def test_start_and_memory_are_judged_for_the_broker_and_only_shown_for_the_floor() -> None:
    late = [StartSample(ready_seconds=0.6, first_record_seconds=0.7, idle_bytes=40_000_000)]
    text = "\n".join(start_lines("kbroker", late, is_judged=True))
    assert "<= 0.5 s: NO" in text
    assert "<= 50 MB: yes" in text
    assert "reach" not in "\n".join(start_lines("floor", late, is_judged=False))


def test_json_holds_every_sample() -> None:
    figures = Figures()
    figures.samples[LOADS[0].name, "floor"][0] = sample(1)
    figures.samples[LOADS[0].name, "floor"][1] = sample(2)
    written = json.loads(json.dumps(as_json(figures, LOADS, {"cpu": "x"})))
    assert len(written["rows"]) == len(LOADS)
    assert written["rows"][0]["samples"]["floor"]["1"]["requests_per_second"] == 2
