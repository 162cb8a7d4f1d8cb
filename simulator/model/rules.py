"""The rules of replication that can be switched off, one name each.

A run of the model without a rule must lose data or serve two truths: a rule that nothing needs is
not a rule. Whatever implements or checks a rule elsewhere uses the same name.
"""

from enum import StrEnum


class Rule(StrEnum):
    """What makes replication safe; `section` is that of the design, `sentence` says the rule."""

    section: str
    sentence: str

    def __new__(cls, name: str, section: str, sentence: str) -> "Rule":
        rule = str.__new__(cls, name)
        rule._value_ = name
        rule.section = section
        rule.sentence = sentence
        return rule

    PARTITION_EPOCH_COMPARED = (
        "partition-epoch-compared",
        "3.1",
        "An ISR change is applied only to the partition epoch that the leader has seen.",
    )
    BROKER_EPOCH_COMPARED = (
        "broker-epoch-compared",
        "3.1",
        "A follower joins the ISR only as the admitted incarnation that its Fetch came from.",
    )
    MAXIMAL_ISR = (
        "maximal-isr",
        "3.2",
        "The high watermark counts the members of every ISR that was proposed, too.",
    )
    UNKNOWN_OUTCOME_KEPT = (
        "unknown-outcome-kept",
        "3.2",
        "A proposal stays in the maximal ISR until its refusal or a later partition epoch is seen.",
    )
    DURABLE_ENDS = (
        "durable-ends",
        "3.3",
        "The high watermark counts durable ends, the leader's own included, never log ends.",
    )
    MIN_ISR_GATE = (
        "min-isr-gate",
        "3.3",
        "The high watermark advances only while the ISR has min.insync.replicas members.",
    )
    MIN_ISR_IN_RECORD = (
        "min-isr-in-record",
        "3.3",
        "A leader takes min ISR from the partition record it leads by, never from the configs.",
    )
    MIN_ISR_CHANGE_EMPTIES_ELR = (
        "min-isr-change-empties-elr",
        "3.3",
        "A change of min ISR empties the ELR in the same transaction.",
    )
    ELR_KEPT = (
        "elr-kept",
        "3.4",
        "Who leaves an ISR below min ISR stays eligible to lead, in the ELR.",
    )
    CLEAN_ELECTION = (
        "clean-election",
        "3.4",
        "Nobody outside the ISR and the ELR is elected.",
    )
    LAST_KNOWN_LEADER_LAST = (
        "last-known-leader-last",
        "3.4",
        "The last known leader is elected only if ISR and ELR are empty, and the loss is logged.",
    )
    ADMISSION = (
        "admission",
        "3.6",
        "A registered broker counts only once it was taken out everywhere and then admitted.",
    )
    LOSSY_LEAVES_ELR = (
        "lossy-leaves-elr",
        "3.6",
        "A broker whose restart was lossy is taken out of the ELR before it is admitted.",
    )
    LOSSY_UNTIL_ADMITTED = (
        "lossy-until-admitted",
        "3.6",
        "A lossy restart stays lossy until admission: no later stop or crash makes it clean.",
    )
    TRUNCATION_BY_EPOCH = (
        "truncation-by-epoch",
        "3.7",
        "A follower truncates to where its epochs part from the leader's, not to its watermark.",
    )
    JOIN_PAST_EPOCH_START = (
        "join-past-epoch-start",
        "3.8",
        "A follower joins the ISR only at or past the start offset of the leader epoch.",
    )
    JOIN_PAST_HIGH_WATERMARK = (
        "join-past-high-watermark",
        "3.8",
        "A follower joins the ISR only at or past the high watermark.",
    )
    ENDS_OF_THIS_EPOCH = (
        "ends-of-this-epoch",
        "3.8",
        "A leader counts only the followers' ends that it was told in this leader epoch.",
    )
    FETCH_EPOCH_FENCED = (
        "fetch-epoch-fenced",
        "3.9",
        "A Fetch is answered only if leader and follower are in the same leader epoch.",
    )
    EPOCH_RAISED_AT_START = (
        "epoch-raised-at-start",
        "3.11",
        "A broker that starts leads what it led only in a new leader epoch.",
    )
    NEW_REGISTRATION = (
        "new-registration",
        "4",
        "Every start creates its registration anew, so that no two share a broker epoch.",
    )
    NEWER_RECORD_ONLY = (
        "newer-record-only",
        "4",
        "A broker adopts a partition record only if it is newer than the one it has.",
    )


Rules = frozenset[Rule]
"""The rules in force."""

ALL_RULES: Rules = frozenset(Rule)
