"""What each cell comes to: the table that the experiments are compared with.

For each kind of file four rows, one for each time (running, after a stop, after kill -9, after a
power cut), of one letter for each fault, in the order of `faults.FAULTS`; blank where the fault is
not tried: one of batches on another file, most of a file that nobody reads. The letters are those
of `outcomes.Outcome`. Reviewed by hand: a cell is changed here only with a reason.
"""

from __future__ import annotations

from simulator.disk_faults.faults import FAULTS, Fault
from simulator.disk_faults.kinds import FileKind
from simulator.disk_faults.outcomes import Outcome
from simulator.disk_faults.scene import When

# 0 zeroes, junk; 2 bits: first, middle, last, last but one, of a number; 7 of a batch: offset,
# length, epoch, magic, checksum, delta, payload; 14 empty, half, tail, missing; 18 read, write,
# fsync, full
EXPECTED: dict[str, tuple[str, str, str, str]] = {
    # Clean: all but its end is trusted. Killed: what was flushed is checked, and refused if bad.
    # Power cut: here the middle batch is one of the last second, of which no hint came through.
    "active-log": (
        "EEoECCCoE.CCECEEHESSSF",
        "RRECCCCoR.CCRCRRRRRSSF",
        "RRRRRRRRR.RRRRRRRRRSRF",
        "ttttttttt.ttttttttRSRF",
    ),
    # As above; after a crash it is checked, because the recovery point lies before it.
    "recent-log": (
        "EEoCCCCoE.ECECEEEES...",
        "EEoCCCCoE.ECECEEEES...",
        "RRRRRRRRRbRRRRRRRRR.R.",
        "RRRRRRRRRbRRRRRRRRR.R.",
    ),
    # Never read again by a start: bytes that do not parse are refused to readers, a checksum is
    # the consumer's to check, and an offset or an epoch has none (Kafka's format, KIP-98).
    "old-log": (
        "EEEoCCCoE.CCECEEEES...",
        "EEooCCCoE.ECECEEEES...",
        "EEooCCCoE.ECECEEEES...",
        "EEooCCCoE.ECECEEEES...",
    ),
    # As above; that it is missing shows in the epochs, which begin where the log did.
    "first-log": (
        "EEEoCCCoE.CCECEEEES...",
        "EEEoCCCoE.CCECEEERS...",
        "EEEoCCCoE.CCECEEEbS...",
        "EEEoCCCoE.CCECEEEbS...",
    ),
    # Replayed as a whole by each start; a batch with a wrong checksum is passed over.
    "offsets-log": (
        "RR..bbb.R.bbbbRR.R.SSF",
        "RR..bbb.R.bbbbRRRRRSSF",
        "RRRRRRRRRbRRRRRRRRRSRF",
        "RRRRtttRRbRRRRRRtRRSRF",
    ),
    # A cache; unclean starts make it anew, clean ones at its first use.
    "active-index": (
        "-------       ---.SSSF",
        "-------       ---..bbb",
        ".......       ....SRRR",
        ".......       ....SRRR",
    ),
    # A cache, checked at the first use of its segment.
    "old-index": (
        "bbbbbbb       .bb.S...",
        "bbbbbbb       .bb.S...",
        "bbbbbbb       .bb.S...",
        "bbbbbbb       .bb.S...",
    ),
    # As the index. Before anything is decided by it, it is compared with the batches.
    "active-timeindex": (
        "bbbb.bb       bb.bSSSF",
        "bbbb.bb       bbbbSbbb",
        ".......       ....SRRR",
        ".......       ....SRRR",
    ),
    # As the index.
    "old-timeindex": (
        "bbbb.bb       bbbbS...",
        "bbbb.bb       bbbbS...",
        "bbbb.bb       bbbbS...",
        "bbbb.bb       bbbbS...",
    ),
    # Kafka's format has no sum, and no start reads what lies before the recovery point.
    "txnindex": (
        "oo.o...       ooooS...",
        "oo.o...       ooooS...",
        "oo.o...       ooooS...",
        "oo.o...       ooooS...",
    ),
    # A cache of what the batches say.
    "snapshot": (
        ".......       ........",
        "bbbbbbb       bbb.R...",
        ".......       .....RRb",
        ".......       .....RRb",
    ),
    # A cache of what the batches say; unreadable, it is read from them.
    "epochs": (
        ".......       .....bbb",
        "bbb.bbb       bbbbRbbb",
        "bbbbbbb       bbbbRbbb",
        "bbbbbbb       bbbbRbbb",
    ),
    # Without the id it is unknown whose records these are: never put aside for an empty log.
    "partition": (
        "RRRRRRR       RRRR....",
        "RRRRRRR       RRRRR...",
        "RRRRRRR       RRRRR...",
        "RRRRRRR       RRRRR...",
    ),
    # Whose directory this is: never guessed.
    "meta": (
        "RRRR.RR       RR.R....",
        "RRRR.RR       RR.RR...",
        "RRRR.RR       RR.RR...",
        "RRRR.RR       RR.RR...",
    ),
    # Too low costs time; too high after a clean stop looks like records that are missing.
    "recovery-points": (
        ".......       .....bbb",
        "bbbRbR.       .bb.Rbbb",
        "bbb.b..       .bb.Rbbb",
        "bbb.b..       .bb.Rbbb",
    ),
    # As the recovery points.
    "high-watermarks": (
        ".......       .....bbb",
        "bbb.b..       .bb.Rbbb",
        "bbb.b..       .bb.Rbbb",
        "bbb.b..       .bb.Rbbb",
    ),
    # Where it is silent the log starts at its first file. A larger number would hide records: the
    # epochs, which are written before it, contradict it.
    "log-starts": (
        ".......       .....SSF",
        "uuuuuub       uuuuRSSF",
        "uuuuuub       uuuuRSSF",
        "uuuuuub       uuuuRSSF",
    ),
    # That it is there counts, not what it says.
    "clean": (
        "-------       --------",
        ".......       .....bbb",
        "-------       --------",
        "-------       --------",
    ),
    # Entries have sums of their own; without it recovery knows less.
    "flushed-ends": (
        ".......       .....b.b",
        "-------       --------",
        ".......       ....bbbb",
        ".......       ....bbbb",
    ),
    # Its records are missed: flushed ends tell of them, after a stop in order the checkpoints.
    "directory": (
        "                 R    ",
        "                 R    ",
        "                 R    ",
        "                 R    ",
    ),
    # Nobody reads it.
    "lock": (
        " -            -  .   .",
        " -            -  .   .",
        " -            -  .   .",
        " -            -  .   .",
    ),
    # Room; nobody reads it.
    "reserve": (
        " .            .  .   .",
        " -            -  -   -",
        " .            .  .   b",
        " .            .  .   b",
    ),
    # Removed unread.
    "deleted": (
        " -            -  -   -",
        " .            .  .   .",
        " .            .  .   .",
        " .            .  .   .",
    ),
    # Nobody but a person reads it.
    "aside": (
        " .            .  .   .",
        " .            .  .   .",
        " .            .  .   .",
        " .            .  .   .",
    ),
    # Removed unread.
    "deleted-topic": (
        " -            -  -   -",
        " -            -  .   .",
        " -            -  .   .",
        " -            -  -   -",
    ),
}

BY_LETTER = {outcome.letter: outcome for outcome in Outcome}
BLANK = " "
COLUMN_OF = {fault.name: number for number, fault in enumerate(FAULTS)}
ROW_OF = {when: number for number, when in enumerate(When)}


def is_tried(kind: FileKind, fault: Fault) -> bool:
    return _letter_of(kind, fault, When.RUNNING) != BLANK


def expected_of(kind: FileKind, fault: Fault, when: When) -> Outcome:
    """Of a cell that is tried."""
    return BY_LETTER[_letter_of(kind, fault, when)]


def _letter_of(kind: FileKind, fault: Fault, when: When) -> str:
    return EXPECTED[kind.name][ROW_OF[when]][COLUMN_OF[fault.name]]
