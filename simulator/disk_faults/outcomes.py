"""What a fault of one file comes to, in one word each."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """The letter in the table, and what it stands for. The last ones are defects: no cell has
    them."""

    NOTHING = "-", "nothing: it is not needed then, or there is none"
    UNSEEN = "·", "no effect: it is a cache or a copy, and what it says wrong is not believed"
    REBUILT = "b", "made anew, said in a log line"
    TAIL_CUT = (
        "t",
        "cut off as a torn end, said in a log line: after a power cut the records of the last"
        " seconds, whose end was not noted, look the same as a write that was never finished",
    )
    REVIVED = "u", "no record is lost, but deleted ones are there again, said in a log line"
    REFUSED = "R", "the start is refused, in one line that names the file and the ways out"
    STOPS = "S", "the broker stops in order, and the next start has all that was acknowledged"
    NO_ROOM = "F", "what needs room is refused until there is some; the rest goes on"
    ANSWERED = "E", "whoever asks for it is answered with an error, and nothing else is affected"
    HUNG_UP = "H", "the connection of whoever reads it ends"
    CHECKSUM = "C", "served as it is: the consumer's check of the checksum finds it"
    OUTSIDE = "o", "served as it is: Kafka's format has no checksum over these bytes"
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
