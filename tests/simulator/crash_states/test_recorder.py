"""The promise that is kept beside the disk, and the moments between its changes."""

from __future__ import annotations

import random

from simulator.crash_states.recorder import FLUSHED, NOW_MS, Recorder, open_directory
from simulator.disk_image import take

KEY = ("a", 0)


def _recorder() -> Recorder:
    recorder = Recorder(random.Random(1))
    recorder.create("a")
    return recorder


def test_a_moment_lies_before_each_change_of_the_disk() -> None:
    recorder = _recorder()
    count, before = len(recorder.moments), recorder.disk.operation_count
    recorder.append(KEY)
    recorder.flush(KEY)
    assert len(recorder.moments) - count == recorder.disk.operation_count - before
    operations = [moment.operation for moment in recorder.moments[count:]]
    log = f"data/a-0/{0:020d}.log"
    assert operations[:2] == [f"append {log}", f"flush {log}"]
    assert operations[-1] == "append data/.kbroker_flushed_ends"


def test_an_append_is_promised_to_nobody_before_its_flush() -> None:
    recorder = _recorder()
    recorder.append(KEY, 2)
    assert recorder.promises[KEY].durable_end == 0
    assert len(recorder.promises[KEY].histories[0]) == 2
    recorder.flush(KEY)
    end = recorder.directory.logs[KEY].log_end_offset
    assert recorder.promises[KEY].durable_end == end
    # At the moments before, less was promised.
    assert [moment.promises[KEY].durable_end for moment in recorder.moments[-2:]] == [0, 0]


def test_the_batches_of_the_promise_are_those_of_the_log() -> None:
    recorder = _recorder()
    recorder.append(KEY, 3, producer=1)
    recorder.end_transaction(KEY, producer=1, commit=False)
    promised = recorder.promises[KEY].histories[0]
    recorder.kill()
    assert recorder.promises[KEY].histories[0] == promised
    assert recorder.sequences[KEY, 1] == promised[-2].last_offset + 1


def test_while_a_log_is_cut_it_is_the_old_one_or_the_new_one() -> None:
    recorder = _recorder()
    for _ in range(20):
        recorder.append(KEY)
    recorder.flush(KEY)
    count = len(recorder.moments)
    recorder.truncate(KEY)
    cut = recorder.promises[KEY]
    assert recorder.directory.logs[KEY].log_end_offset == cut.histories[0][-1].last_offset + 1
    for moment in recorder.moments[count:]:
        assert len(moment.promises[KEY].histories) == 2
        assert moment.promises[KEY].durable_end <= cut.durable_end


def test_a_deleted_topic_is_promised_to_nobody_and_its_name_may_come_again() -> None:
    recorder = _recorder()
    old = recorder.promises[KEY].topic_id
    recorder.delete("a")
    assert recorder.promises == {}
    recorder.create("a", 2)
    assert recorder.promises[KEY].topic_id != old


def test_what_the_metadata_has_and_the_disk_has_not_is_made() -> None:
    recorder = _recorder()
    image = take(recorder.disk)
    directory = open_directory(
        image.disk(0), recorder.promises | {("b", 0): recorder.promises[KEY]}, NOW_MS
    )
    assert set(directory.logs) == {("a", 0), ("b", 0)}
    assert directory.logs["b", 0].config == FLUSHED
