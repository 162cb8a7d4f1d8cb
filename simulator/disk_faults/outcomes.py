"""What a fault of one file comes to, in one word each."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """The letter in the table, and what it stands for. The last ones are defects: no cell has
    them."""

    NOTHING = "-", "nothing: it is not needed then, or there is none"
    UNSEEN = ".", "no effect: it is a cache or a copy, or nobody needs it"
    REBUILT = "b", "made anew or done without, said in a log line"
    TAIL_CUT = (
        "t",
        "taken for a torn end: after a power cut what was written in the last seconds, whose flush"
        " was not noted durably, looks the same as a write that was never finished",
    )
    REVIVED = "u", "no record is lost, but deleted ones may be there again, as a log line says"
    REFUSED = (
        "R",
        "the start is refused, in one line that names the file or its partition, and the ways out",
    )
    STOPS = "S", "the broker stops in order, and the next start has all that was acknowledged"
    NO_ROOM = "F", "what needs room is refused until there is some; the rest goes on"
    ANSWERED = "E", "whoever asks for it is answered with an error, and nothing else is affected"
    HUNG_UP = "H", "the connection of whoever reads it ends"
    CHECKSUM = "C", "served as it is: the consumer's check of the checksum finds it"
    OUTSIDE = "o", "believed as it is: Kafka's format has no checksum over these bytes"
    LOST = "LOST", "records are gone, and nobody is told"
    WRONG = "WRONG", "an answer is wrong, and nobody is told"
    TRACEBACK = "TRACEBACK", "an exception that nobody expected"
    STUCK = "STUCK", "somebody waits in vain"

    def __init__(self, letter: str, words: str) -> None:
        self.letter = letter
        self.words = words

    @property
    def is_defect(self) -> bool:
        return len(self.letter) > 1
