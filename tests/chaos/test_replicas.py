"""Replicas that are not the same."""

import pytest

from tests.chaos.replicas import AnomalyError, differences, log_bytes, refuse


def test_segments_are_one_log_wherever_they_end(tmp_path):
    for name, segments in (("a", {"0": b"12", "2": b"3"}), ("b", {"0": b"1", "1": b"23"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.index").write_bytes(b"?")
        for base, data in segments.items():
            (tmp_path / name / f"{base.zfill(20)}.log").write_bytes(data)
    assert log_bytes(tmp_path / "a") == log_bytes(tmp_path / "b") == b"123"


def test_a_replica_that_differs_is_named_with_the_place():
    assert differences(3, [b"abc", b"abc", b"abc"]) == []
    shorter, other = differences(3, [b"abc", b"ab", b"aXc"])
    assert str(shorter).startswith("replica-differs: soak-3 of brokers 1 and 2, of 3 and 2 bytes")
    assert str(shorter).endswith("from byte 2 on")
    assert str(other).endswith("from byte 1 on")
    refuse([])
    with pytest.raises(AnomalyError, match="2 anomalies"):
        refuse([shorter, other])
