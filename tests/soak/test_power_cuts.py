"""A power cut of a real process: the harness finds a broker that acknowledges too early."""

import tempfile

import pytest

from tests.soak.failing_disk import reason_against_fuse
from tests.soak.power_cuts import CutError, cut_power

REASON = reason_against_fuse()
PAGE_CACHE = "log.flush.interval.messages=9223372036854775807"


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_a_broker_that_answers_before_the_fsync_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # for the copy of the lost disk
    seen = []
    with pytest.raises(CutError) as caught:
        cut_power(
            count=20, seed=1, directory=tmp_path, progress=seen.append, settings=(PAGE_CACHE,)
        )
    words = str(caught.value)
    assert "lost-write" in words or "unseen" in words or "lost-commit" in words
    assert "again: python -m tests.soak power-cuts" in words
    assert len(seen) < 10
