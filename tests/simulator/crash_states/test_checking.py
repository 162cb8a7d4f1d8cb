"""Each thing that recovery could get wrong is found: disks that are changed behind its back."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from simulator.crash_states.checking import check_log, check_state
from simulator.crash_states.recorder import Batch, Moment, Promise, Recorder
from simulator.disk_image import take

KEY = ("a", 0)


def _recorder() -> Recorder:
    recorder = Recorder(random.Random(1))
    recorder.create("a")
    for _ in range(3):
        recorder.append(KEY, 2, producer=1)
        recorder.flush(KEY)
        recorder.lead_anew()
    return recorder


def _moment(recorder: Recorder, **changes: object) -> Moment:
    promise = replace(recorder.promises[KEY], **changes)  # type: ignore[arg-type]
    return Moment(take(recorder.disk), {KEY: promise}, recorder.now_ms, "")


def test_a_sound_state_is_found_sound() -> None:
    assert check_state(_moment(_recorder()), 0) is None


def _one_more(promise: Promise) -> dict[str, object]:
    return {"durable_end": promise.durable_end + 1}


def _another_batch(promise: Promise) -> dict[str, object]:
    first = promise.histories[0][0]
    changed = Batch(first.base_offset, first.last_offset, first.data[:-1] + b"?")
    return {"histories": ((changed, *promise.histories[0][1:]),)}


def _a_batch_less(promise: Promise) -> dict[str, object]:
    return {"histories": (promise.histories[0][:-1],)}


def _a_later_start(promise: Promise) -> dict[str, object]:
    return {"least_start": 1}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        (_one_more, "was acknowledged up to"),
        (_another_batch, "was never written so"),
        (_a_batch_less, "was never written so"),
        (_a_later_start, "log start back at 0"),
    ],
)
def test_a_promise_that_is_not_kept_is_found(
    changes: Callable[[Promise], dict[str, object]], finding: str
) -> None:
    recorder = _recorder()
    found = check_state(_moment(recorder, **changes(recorder.promises[KEY])), 0)
    assert found is not None
    assert finding in found


def test_what_the_opening_raises_is_a_finding() -> None:
    recorder = _recorder()
    log = recorder.directory.logs[KEY].segments.active.log()
    recorder.disk.corrupt(log.path, log.size - 2, b"??")
    moment = _moment(recorder)
    found = check_state(moment, moment.image.everything())  # the hint of flushed ends, too
    assert found is not None
    assert found.startswith("LogDamagedError: a-0: the batch at position")


def test_derived_state_that_is_not_that_of_the_batches_is_found() -> None:
    recorder = _recorder()
    log, promise = recorder.directory.logs[KEY], recorder.promises[KEY]
    check_log(log, promise)
    log.producer_state.reset(log.log_end_offset, now_ms=0)
    with pytest.raises(AssertionError, match="producer 1 is forgotten"):
        check_log(log, promise)
    recorder = _recorder()
    log = recorder.directory.logs[KEY]
    log.leader_epochs.clear()
    with pytest.raises(AssertionError, match="is unknown"):
        check_log(log, promise)
