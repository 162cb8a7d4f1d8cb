"""The known bugs that are put back one at a time, and how each has to be found."""

from __future__ import annotations

from simulator.mutants.mutant import Mutant
from simulator.mutants.replication_table import REPLICATION_MUTANTS

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "answers-before-the-flush",
        "An append counts as durable before any fsync covers it.",
        seeds=400,
    ),
    Mutant(
        "only-acks-all-arms-the-flush",
        "Only a Produce with acks=all has its records flushed; what others wrote waits for them.",
        seeds=400,
    ),
    Mutant(
        "durable-end-raised-after-a-truncation",
        "A flush that began before a truncation raises the durable end past it.",
        scenario="tests/log/test_flushing.py::test_a_flush_does_not_count_if_a_truncation_came_between",
    ),
    Mutant(
        "index-trusted-after-a-crash",
        "Recovery takes the indexes as the crash left them.",
        seeds=400,
    ),
    Mutant(
        "committed-data-cut",
        "Recovery cuts a bad batch among acknowledged records, as if it were a torn tail.",
        seeds=400,
    ),
    Mutant(
        "high-watermark-from-a-missing-checkpoint",
        "After a crash the log is cut at the checkpointed high watermark: zero if there is none.",
        seeds=400,
    ),
    Mutant(
        "producer-changed-before-the-append",
        "The state of a producer takes a batch over before it is written.",
        seeds=400,
    ),
    Mutant(
        "commit-answered-before-it-is-durable",
        "OffsetCommit is answered when its record is appended.",
        seeds=400,
    ),
    Mutant(
        "generation-reused-after-a-restart",
        "A group begins to count its generations anew when it is loaded.",
        seeds=400,
    ),
    Mutant(
        "session-timeout-during-a-load",
        "Members of a group that was loaded are expected as if time had passed for them: at once.",
        scenario="tests/coordinator/group/test_shard.py::test_members_of_a_loaded_group_have_their_whole_session",
    ),
    Mutant(
        "repeat-answered-before-the-first",
        "A repeated batch is answered although its first copy is not durable.",
        scenario="tests/process/test_flush_order.py::test_a_retry_of_what_is_not_yet_durable_waits_as_well",
    ),
    Mutant(
        "failed-fsync-forgotten",
        "A failed fsync is taken for a success.",
        seeds=400,
    ),
    Mutant(
        "failed-fsync-tried-again",
        "After a failed fsync the log goes on, and the next one is believed.",
        seeds=400,
    ),
    Mutant(
        "rolled-segment-not-flushed",
        "A flush covers the active segment alone, not those that were rolled since the last one.",
        seeds=400,
    ),
    Mutant(
        "name-of-a-new-segment-not-synced",
        "A flush does not sync the directory in which a new segment was made.",
        seeds=400,
    ),
    Mutant(
        "checkpoint-written-in-place",
        "Checkpoints are overwritten where they are.",
        seeds=400,
    ),
    Mutant(
        "recovery-point-ahead-of-the-flush",
        "The checkpoint of recovery points tells the log ends.",
        seeds=400,
    ),
    Mutant(
        "clean-marker-kept",
        "The file that says that the stop was clean outlives the next start.",
        seeds=400,
    ),
    Mutant(
        "retired-segments-lose-their-order",
        "Segments are retired together, without making one rename durable before the next.",
        seeds=400,
    ),
    Mutant(
        "deletion-answered-before-it-is-durable",
        "DeleteRecords is answered before the log start is on the disk.",
        seeds=400,
    ),
    Mutant(
        "producers-from-the-snapshot-alone",
        "After a crash the state of producers is the last snapshot, without the batches behind it.",
        seeds=400,
    ),
    Mutant(
        "reads-past-the-high-watermark",
        "Fetch serves what is not durable yet.",
        seeds=400,
    ),
    Mutant(
        "broken-checksum-accepted-in-recovery",
        "Recovery does not compare checksums: a torn batch is taken for a whole one.",
        seeds=400,
    ),
    Mutant(
        "offset-given-twice-after-a-failed-append",
        "A torn append is not taken back before the next one.",
        scenario="tests/log/test_writing.py::test_bytes_that_could_not_be_taken_back_fence_the_log_until_they_are_gone",
    ),
    Mutant(
        "new-topic-takes-the-old-ones-checkpoints",
        "A topic made anew under a name starts from what the checkpoints say of the old one.",
        seeds=1000,
    ),
    Mutant(
        "strangers-may-commit",
        "A commit is taken from whoever says that he is a member, in any generation.",
        seeds=1000,
    ),
    Mutant(
        "sequence-gaps-accepted",
        "A batch that leaves out a sequence number is taken.",
        seeds=400,
    ),
    Mutant(
        "session-forgets-what-it-served",
        "An incremental fetch session leaves out a partition that has news.",
        scenario="tests/kbroker/replication/test_fetch_session.py::test_a_partition_that_had_data_is_read_last_next_time",
    ),
    Mutant(
        "flush-lost-when-one-is-under-way",
        "What is appended during a flush is not flushed until something else is appended.",
        seeds=400,
    ),
    Mutant(
        "log-start-falls-back",
        "The log start is not read from its checkpoint.",
        seeds=400,
    ),
    Mutant(
        "deleted-topic-not-synced",
        "The new name of a deleted partition is not durable: it comes back after a power loss.",
        scenario="tests/log/test_log_directory.py::test_a_deleted_partition_cannot_come_back",
    ),
    Mutant(
        "offsets-read-before-they-are-durable",
        "OffsetFetch tells what a power loss could take back.",
        scenario="tests/kbroker/handlers/test_offsets.py::test_an_offset_is_told_only_once_it_is_committed",
    ),
    Mutant(
        "heartbeats-do-not-count",
        "A heartbeat does not prolong the session of its member.",
        seeds=400,
    ),
    Mutant(
        "time-lookup-passes-over-a-segment",
        "A time that is the largest of a segment is looked for behind that segment.",
        seeds=400,
    ),
    Mutant(
        "deletion-forgets-the-epochs",
        "DeleteRecords drops the whole history of leader epochs, the one in force included.",
        seeds=400,
    ),
    Mutant(
        "snapshot-forgets-how-long-batches-are",
        "What a snapshot brings back of a producer has batches of one record.",
        seeds=400,
    ),
    Mutant(
        "producer-ids-reserved-one-by-one",
        "A block of producer ids is given out, and its first one alone is reserved.",
        seeds=400,
    ),
    *REPLICATION_MUTANTS,
)
