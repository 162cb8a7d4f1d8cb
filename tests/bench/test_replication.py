"""What is told of three replicas beside one."""

from bench.replication import SHAPES, Figure, table, told


def figure(rate: float) -> Figure:
    return Figure(
        bytes_per_second=rate * 1e6,
        p50_us=1_500,
        p99_us=9_000,
        leader_cpu_per_gb=4.0,
        followers_cpu_per_gb=6.0,
    )


def test_ratios_are_those_of_pairs_and_what_is_told_are_medians():
    found = {
        f"{durability}, {name}, factor {factor}": [figure(rate) for rate in rates]
        for durability in ("page cache", "flushed")
        for name in SHAPES
        for factor, rates in ((1, (100, 200, 50)), (3, (50, 60, 25)))
    }
    header, _, *rows = table(found)
    assert len(rows) == 2 * len(SHAPES)
    assert header.count("|") == rows[0].count("|")
    assert "| 100.0 | 50.0 | 0.50 (0.30 to 0.50) | 1.50 · 1.50 | 9.00 · 9.00 |" in rows[0]
    assert rows[0].endswith("| 4.00 · 4.00 · 3.00 |"), "of one follower"


def test_fail_overs_are_told_by_their_median_and_extremes():
    assert told([]) == []
    (line,) = told([5.0, 7.0, 6.0])
    assert "3 times: median 6.00 s, least 5.00, largest 7.00" in line
