"""The known bugs of replication that are put back: its rules, one by one, and what others met.

Every rule of `simulator.model.rules` has one at least.
"""

from __future__ import annotations

from simulator.model.rules import Rule
from simulator.mutants.mutant import Mutant

REPLICATION_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "isr-change-on-a-former-partition-epoch",
        "An ISR change overwrites whatever the record of the partition is by then.",
        scenario="tests/kbroker/replication/test_isr_changes.py::test_a_change_that_comes_too_late_is_not_repeated_but_what_is_stored_adopted",
        rule=Rule.PARTITION_EPOCH_COMPARED,
    ),
    Mutant(
        "joins-as-whoever-is-registered",
        "Who joins the ISR is not compared with its registration and admission.",
        scenario="tests/kbroker/replication/test_isr_changes.py::test_who_is_not_that_admitted_incarnation_any_more_does_not_join",
        rule=Rule.BROKER_EPOCH_COMPARED,
    ),
    Mutant(
        "refused-change-sent-again",
        "A refused ISR change is sent again instead of adopting what is stored (KAFKA-2729).",
        scenario="tests/kbroker/replication/test_isr_changes.py::test_a_change_that_comes_too_late_is_not_repeated_but_what_is_stored_adopted",
    ),
    Mutant(
        "isr-proposed-does-not-count",
        "The high watermark does not wait for who joins by a change that is under way.",
        scenario="tests/kbroker/replication/test_isr.py::test_who_is_proposed_counts_until_it_is_refused",
        rule=Rule.MAXIMAL_ISR,
    ),
    Mutant(
        "unknown-outcome-taken-for-a-refusal",
        "An ISR change of unknown outcome is forgotten (KAFKA-12751, 14144).",
        scenario="tests/kbroker/replication/test_isr.py::test_an_unknown_outcome_counts_until_a_later_partition_epoch_is_seen",
        rule=Rule.UNKNOWN_OUTCOME_KEPT,
    ),
    Mutant(
        "leader-counts-what-it-has-not-flushed",
        "The high watermark counts the leader's log end instead of its durable end.",
        seeds=60,
        is_cluster=True,
        rule=Rule.DURABLE_ENDS,
    ),
    Mutant(
        "follower-fetches-past-its-durable-end",
        "A follower fetches on, and so confirms, what it has not flushed.",
        seeds=40,
        is_cluster=True,
        rule=Rule.DURABLE_ENDS,
    ),
    Mutant(
        "commits-below-min-isr",
        "The high watermark advances below min.insync.replicas (KIP-966).",
        seeds=40,
        is_cluster=True,
        rule=Rule.MIN_ISR_GATE,
    ),
    Mutant(
        "min-isr-reaches-no-partition",
        "A change of min.insync.replicas does not reach the records of the partitions.",
        scenario="tests/kbroker/cluster/test_controller.py::test_min_insync_replicas_reaches_every_partition_and_survives_an_interruption",
    ),
    Mutant(
        "min-isr-taken-from-the-configs",
        "A leader goes by the min.insync.replicas of the configs, not of its record (KAFKA-16540).",
        scenario="tests/kbroker/replication/test_replica_manager.py::test_a_leader_goes_by_the_min_isr_of_its_record_and_not_by_the_configs",
        rule=Rule.MIN_ISR_IN_RECORD,
    ),
    Mutant(
        "elr-outlives-another-min-isr",
        "A change of min.insync.replicas keeps the ELR that was judged by the former one.",
        scenario="tests/kbroker/cluster/test_controller.py::test_another_min_insync_replicas_empties_the_elr",
        rule=Rule.MIN_ISR_CHANGE_EMPTIES_ELR,
    ),
    Mutant(
        "who-left-below-min-isr-is-forgotten",
        "A leader that takes a member out below min.insync.replicas keeps no ELR.",
        scenario="tests/kbroker/replication/test_isr.py::test_who_leaves_an_isr_below_its_minimum_stays_eligible",
        rule=Rule.ELR_KEPT,
    ),
    Mutant(
        "departed-broker-leaves-the-elr",
        "A broker that is gone is no member of the ELR unless the ISR is empty.",
        scenario="tests/kbroker/cluster/test_elections.py::test_below_the_minimum_who_leaves_the_isr_stays_eligible",
        rule=Rule.ELR_KEPT,
    ),
    Mutant(
        "any-live-replica-is-elected",
        "Whoever lives is elected where ISR and ELR have nobody who does.",
        seeds=40,
        is_cluster=True,
        rule=Rule.CLEAN_ELECTION,
    ),
    Mutant(
        "last-known-leader-before-the-elr",
        "The last known leader is elected although the ELR has a member.",
        scenario="tests/kbroker/cluster/test_elections.py::test_the_last_known_leader_does_not_lead_while_somebody_is_known_to_have_all",
        rule=Rule.LAST_KNOWN_LEADER_LAST,
    ),
    Mutant(
        "deposed-controller-writes",
        "A controller does not compare that it still holds the office.",
        scenario="tests/kbroker/cluster/test_partition_changes.py::test_a_controller_that_was_replaced_writes_nothing",
    ),
    Mutant(
        "admitted-while-still-in-sync",
        "A broker is admitted without being taken out of what its former life was in.",
        scenario="tests/kbroker/cluster/test_controller.py::test_three_brokers_share_a_topic_and_one_comes_back",
        rule=Rule.ADMISSION,
    ),
    Mutant(
        "registered-counts-as-admitted",
        "A broker that has registered may lead before it is admitted.",
        scenario="tests/kbroker/cluster/test_controller_duties.py::test_who_is_registered_leads_nothing_before_it_is_admitted",
        rule=Rule.ADMISSION,
    ),
    Mutant(
        "lossy-restart-stays-eligible",
        "A broker that may have lost records stays in the ELR.",
        scenario="tests/kbroker/cluster/test_elections.py::test_after_a_lossy_crash_it_is_not_eligible",
        rule=Rule.LOSSY_LEAVES_ELR,
    ),
    Mutant(
        "loss-told-once-and-no-more",
        "A loss is told by the first registration alone, be that admitted or not.",
        scenario="tests/kbroker/cluster/test_membership.py::test_a_loss_that_nobody_has_taken_note_of_is_told_by_the_next_registration_too",
        rule=Rule.LOSSY_UNTIL_ADMITTED,
    ),
    Mutant(
        "truncation-to-the-high-watermark",
        "A follower cuts its log at its own high watermark in each epoch (KAFKA-1211).",
        seeds=60,
        is_cluster=True,
        rule=Rule.TRUNCATION_BY_EPOCH,
    ),
    Mutant(
        "truncation-to-the-leaders-end-alone",
        "A follower does not look where its own epoch ends when it cuts (KIP-279).",
        scenario="tests/kbroker/replication/test_fetcher.py::test_logs_that_parted_twice_meet_where_they_parted_first",
    ),
    Mutant(
        "joins-before-the-epoch-start",
        "A follower joins the ISR below the start of the leader epoch (KAFKA-7128).",
        scenario="tests/kbroker/replication/test_isr.py::test_a_follower_joins_past_the_epoch_start_and_the_high_watermark_only",
        rule=Rule.JOIN_PAST_EPOCH_START,
    ),
    Mutant(
        "joins-below-the-high-watermark",
        "A follower joins the ISR below the high watermark.",
        scenario="tests/kbroker/replication/test_isr.py::test_a_follower_joins_past_the_epoch_start_and_the_high_watermark_only",
        rule=Rule.JOIN_PAST_HIGH_WATERMARK,
    ),
    Mutant(
        "ends-of-a-former-epoch-count",
        "A leader that is elected again counts what followers told it in the epoch before.",
        scenario="tests/kbroker/replication/test_partition.py::test_what_a_follower_told_in_a_former_epoch_does_not_count",
        rule=Rule.ENDS_OF_THIS_EPOCH,
    ),
    Mutant(
        "fetch-of-another-epoch-answered",
        "A Fetch of a follower in another leader epoch is answered.",
        scenario="tests/kbroker/replication/test_replica_reading.py::test_a_follower_is_fenced_both_ways",
        rule=Rule.FETCH_EPOCH_FENCED,
    ),
    Mutant(
        "epoch-without-an-append-forgotten",
        "A leader epoch is noted with its first record only (KAFKA-7415).",
        scenario="tests/kbroker/replication/test_partition.py::test_a_new_leader_notes_where_its_epoch_starts_with_nothing_appended",
    ),
    Mutant(
        "epochs-that-were-never-written-stay",
        "A deposed leader keeps the epoch that it never wrote in.",
        scenario="tests/kbroker/replication/test_following.py::test_an_epoch_that_was_led_without_an_append_is_forgotten_by_a_follower",
    ),
    Mutant(
        "start-leads-in-the-same-epoch",
        "A broker that starts leads on in the epoch in which it stopped.",
        scenario="tests/kbroker/cluster/test_controller.py::test_every_start_raises_the_leader_epoch_of_what_the_broker_leads",
        rule=Rule.EPOCH_RAISED_AT_START,
    ),
    Mutant(
        "leaders-take-out-who-is-gone",
        "Each leader by itself takes out brokers that are gone.",
        scenario="tests/kbroker/replication/test_isr.py::test_the_controller_takes_out_who_is_gone_or_shuts_down",
    ),
    Mutant(
        "one-that-was-overtaken-fails-its-batch",
        "A batch of changes is given up for one that was overtaken.",
        scenario="tests/kbroker/cluster/test_partition_changes.py::test_one_that_was_overtaken_does_not_keep_the_others",
    ),
    Mutant(
        "take-out-of-who-is-registered-again",
        "A broker that has registered again is taken out for having been gone.",
        scenario="tests/kbroker/cluster/test_controller_duties.py::test_who_is_registered_again_is_not_taken_out_for_having_been_gone",
    ),
    Mutant(
        "controller-acts-on-an-image-behind-its-office",
        "A new controller acts on what it saw before it was elected.",
        scenario="tests/kbroker/cluster/test_controller_duties.py::test_a_new_controller_waits_for_an_image_of_its_own_term",
    ),
    Mutant(
        "registration-put-over-the-last",
        "A start writes its registration over that of the former life.",
        scenario="tests/kbroker/cluster/test_controller.py::test_two_brokers_with_one_id_are_told_apart_by_the_lease",
        rule=Rule.NEW_REGISTRATION,
    ),
    Mutant(
        "older-record-adopted",
        "A broker adopts a partition record that is older than its own.",
        seeds=60,
        is_cluster=True,
        rule=Rule.NEWER_RECORD_ONLY,
    ),
    Mutant(
        "lost-lease-leads-on",
        "A broker that has lost its lease goes on leading.",
        scenario="tests/kbroker/replication/test_partition.py::test_who_steps_down_leads_again_only_in_a_higher_epoch",
    ),
    Mutant(
        "dead-lease-kept-alive",
        "A lease that is answered without a time to live is taken for alive.",
        scenario="tests/kbroker/cluster/test_membership.py::test_a_lease_answered_without_a_time_is_lost_although_no_event_tells",
    ),
    Mutant(
        "high-watermark-before-the-truncation",
        "A follower takes the leader's high watermark before it cuts its log (KAFKA-14704).",
        scenario="tests/kbroker/replication/test_fetcher.py::test_nothing_that_parts_is_ever_below_the_high_watermark",
    ),
    Mutant(
        "answer-of-another-epoch-taken",
        "An answer to a Fetch of a former leader epoch is appended (KAFKA-7786, 13207).",
        scenario="tests/kbroker/replication/test_fetcher.py::test_an_answer_of_a_former_epoch_of_the_same_leader_changes_nothing",
    ),
    Mutant(
        "full-truncation-keeps-the-high-watermark",
        "A follower that starts over keeps its high watermark (KAFKA-9491).",
        scenario="tests/kbroker/replication/test_following.py::test_a_follower_below_the_leaders_log_start_starts_over_there",
    ),
    Mutant(
        "isr-that-shrinks-commits-nothing",
        "A change of the ISR does not advance the high watermark (KAFKA-13091).",
        scenario="tests/kbroker/replication/test_partition.py::test_the_high_watermark_waits_for_every_replica_in_sync",
    ),
    Mutant(
        "missing-checkpoint-means-the-log-end",
        "Without a checkpoint the high watermark is the log end.",
        scenario="tests/kbroker/replication/test_replica_manager.py::test_without_a_checkpoint_nothing_is_known_to_be_committed",
    ),
    Mutant(
        "session-forgets-the-leader-epoch",
        "A fetch session goes by the leader epoch that it began with (KAFKA-9338).",
        scenario="tests/kbroker/replication/test_fetch_session.py::test_what_a_partition_is_asked_for_changes_as_a_whole",
    ),
    Mutant(
        "follower-below-the-log-start-waits",
        "A follower below the leader's log start does not start over there.",
        scenario="tests/kbroker/replication/test_fetcher.py::test_a_follower_below_its_leaders_log_start_begins_there",
    ),
    Mutant(
        "recreated-topic-takes-the-old-files",
        "A directory is taken for the topic that has its name now, whatever its id.",
        scenario="tests/log/test_log_directory.py::test_a_topic_made_anew_does_not_get_the_records_of_the_old_one",
    ),
    Mutant(
        "clients-pose-as-followers",
        "A replica's Fetch is taken on a listener of clients.",
        scenario="tests/kbroker/test_clustering.py::test_what_brokers_ask_of_each_other_is_refused_on_a_listener_of_clients",
    ),
    Mutant(
        "sent-on-without-end",
        "A request that was sent on to the controller is sent on again.",
        scenario="tests/kbroker/test_clustering.py::test_what_is_sent_on_by_one_broker_is_not_sent_on_by_the_next",
    ),
    Mutant(
        "moved-partition-comes-back",
        "A broker keeps what was given to others while it was away.",
        scenario="tests/kbroker/test_cluster_administration.py::test_a_broker_that_was_away_deletes_what_it_was_relieved_of",
    ),
    Mutant(
        "former-life-of-a-follower-fetches",
        "What a former life of a broker fetches counts for the one that runs.",
        scenario="tests/kbroker/replication/test_replica_reading.py::test_a_former_life_of_a_broker_commits_nothing",
    ),
    Mutant(
        "wiped-disk-leads-last",
        "A broker that came back without its log is still the last known leader.",
        scenario="tests/kbroker/cluster/test_elections.py::test_who_lost_its_log_is_not_elected_even_where_it_led_last",
    ),
    Mutant(
        "new-disk-counts-as-whole",
        "A broker whose directory is gone does not tell that it may have lost records.",
        scenario="tests/kbroker/replication/test_replica_manager.py::test_a_new_disk_makes_every_partition_of_this_broker_lossy_until_that_is_told",
    ),
    Mutant(
        "possible-loss-untold",
        "An election with a possible loss is not logged.",
        scenario="tests/kbroker/cluster/test_partition_changes.py::test_a_possible_loss_is_told_before_it_can_happen",
        rule=Rule.LAST_KNOWN_LEADER_LAST,
    ),
    Mutant(
        "end-told-before-it-is-known",
        "A new leader tells the end of its log before it knows what was committed (KIP-207).",
        scenario="tests/kbroker/handlers/test_administration.py::test_a_new_leader_tells_the_end_once_it_knows_what_was_committed_before_it",
    ),
    Mutant(
        "group-replayed-before-it-is-committed",
        "A group is served from what its new leader alone may have.",
        scenario="tests/kbroker/test_group_replay.py::test_nothing_is_replayed_that_is_not_committed_yet",
    ),
    Mutant(
        "epochs-written-after-the-recovery-points",
        "The leader epochs are written behind the recovery points (KAFKA-16541).",
        scenario="tests/log/test_checkpoint_writer.py::test_only_what_changed_is_written_and_epochs_come_first",
    ),
    Mutant(
        "image-goes-back-in-time",
        "An old event of the metadata is taken for news.",
        scenario="tests/kbroker/cluster/test_metadata_image.py::test_an_old_or_repeated_event_takes_nobody_back_in_time",
    ),
    Mutant(
        "restored-store-believed",
        "A metadata store that was restored from a backup is believed.",
        scenario="tests/kbroker/cluster/test_store_history.py::test_a_store_that_went_back_is_refused_until_that_is_accepted",
    ),
    Mutant(
        "deletion-forgets-who-was-away",
        "A deletion is forgotten although a broker that was away may have the files.",
        scenario="tests/kbroker/test_cluster_administration.py::test_a_deletion_waits_for_who_was_away_when_it_was_relieved_of_the_topic",
    ),
)
