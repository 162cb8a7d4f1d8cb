"""The named situations that runs are meant to reach, and how often one run has.

A situation that no seed of a test run reaches fails it: a harness that no longer gets somewhere
proves nothing about it. Counterparts: the probes, which notice them from outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

LIVES = {
    "power lost": "The machine lost its power while the broker was serving.",
    "power lost after an answer": "The power went as soon as a client had been told something.",
    "killed": "The process was killed while it was serving.",
    "stopped": "The broker was asked to stop, and came to the end of that.",
    "power lost while starting": "A start did not come to its end.",
    "killed while starting": "A start was killed.",
    "recovery interrupted": "A start after a power loss was cut short by another one.",
    "power lost while stopping": "A clean stop did not come to its end.",
    "killed while stopping": "A clean stop was killed.",
    "went down by itself": "A storage error took the broker down in order.",
    "start refused by the disk": "An error of the disk made a start refuse.",
}
OPERATIONS = {
    "between append and flush": "A life ended before the first fsync after an append to a log.",
    "between append and index write": "A life ended before an entry of an index was written.",
    "between the fsyncs of a flush": "A life ended between two files of one flush.",
    "before a new segment's file": "A life ended in a roll, the new file not made yet.",
    "new segment not in the directory": "A life ended before the name of a new segment was synced.",
    "amid a checkpoint": "A life ended while a checkpoint was written beside the old one.",
    "checkpoint not renamed": "A life ended before a checkpoint took the place of the old one.",
    "checkpoint's name not synced": "A life ended before the directory with a new checkpoint was.",
    "amid the log start checkpoint": "A life ended while the deletion of records was noted.",
    "amid an epoch checkpoint": "A life ended while the leader epochs were written.",
    "amid a snapshot": "A life ended while a producer snapshot was written.",
    "amid the renames of retention": "A life ended before a retired segment had its new name.",
    "amid the removal of segments": "A life ended before a retired segment's file was removed.",
    "before a topic's directory is renamed": "A life ended in a deletion, nothing done yet.",
    "amid the removal of a topic": "A life ended while the files of a deleted topic went.",
    "amid making partitions": "A life ended before the directory of a new partition was whole.",
    "before a flushed end is noted": "A life ended after an fsync, before word of it.",
    "amid the cut of a tail": "A life ended while a start cut off a torn tail.",
    "amid the rebuilding of an index": "A life ended while a start wrote an index anew.",
    "word of the clean stop taken": "A life ended right after the note of a clean stop was taken.",
    "amid the word of a clean stop": "A life ended while it was noted that the stop was clean.",
}
STATES = {
    "flush under way": "A life ended while an fsync was.",
    "waiters for a flush": "A life ended while producers waited for a flush.",
    "fetches parked": "A life ended while fetches waited for records.",
    "groups loading": "A life ended while the groups of a partition were loaded.",
    "rebalance being prepared": "A life ended while a group waited for its members to join.",
    "rebalance being completed": "A life ended while a group waited for its leader.",
    "join parked": "A life ended while a JoinGroup or SyncGroup waited.",
    "group stable": "A life ended while a group was stable.",
    "commits not durable": "A life ended while records of groups were not durable yet.",
    "producers known": "A life ended with sequences of producers to remember.",
    "full disk at the end": "A life ended on a full disk.",
    "metadata commit under way": "A life ended while a change of the metadata was written.",
    "checkpoint under way": "A life ended while a thread wrote checkpoints.",
    "partitions being made": "A life ended while partitions of a new topic were made.",
    "deletion not finished": "A life ended while the files of a deleted topic were still there.",
    "half-open at the end": "A life ended with connections whose clients were gone.",
    "log start advanced": "A life ended with a log that no longer began at 0.",
    "several segments": "A life ended with a log of several segments.",
}
STORAGE = {
    "fsync failed": "An fsync was refused.",
    "fsync failed with waiters": "An fsync was refused for which producers waited.",
    "fsync failed while starting": "An fsync of a start was refused.",
    "append refused": "An append to a log was refused.",
    "torn append": "Half of a batch stayed on the disk, and the broker went on.",
    "read refused": "A read was refused.",
    "open refused": "A file could not be opened.",
    "rename refused": "A rename was refused.",
    "directory sync refused": "An fsync of a directory was refused.",
    "disk full": "An append found no room.",
    "disk full in a checkpoint": "A checkpoint found no room, and took what was set aside.",
    "checkpoints not written": "Checkpoints were refused, and written later.",
    "full disk while stopping": "A stop found the disk full.",
    "index rotted": "An index lost its contents while nobody ran.",
    "snapshot rotted": "A producer snapshot lost its contents while nobody ran.",
    "checkpoint rotted": "A checkpoint lost its contents while nobody ran.",
    "record rotted": "A bit of an acknowledged record was changed while nobody ran.",
    "metadata refused": "A commit of the metadata was refused.",
    "metadata unknown": "Of a commit of the metadata nobody learned whether it was made.",
}
SAID = {
    "torn tail cut": "A start cut off what no flush had covered.",
    "set aside": "A start found batches behind a hole, and kept them beside the log.",
    "index rebuilt": "An index was made anew from its log.",
    "not as clean as said": "A log did not look as a clean stop leaves it.",
    "snapshot damaged": "A damaged producer snapshot was removed.",
    "checkpoint damaged": "A start without one of the checkpoints looked at all records.",
    "epochs from batches": "The leader epochs were read from the batches.",
    "log starts past its end": "A log began past the records that were found.",
    "damage refused": "A start refused records that had rotted.",
    "loss accepted": "A start went on without records, as it was told to.",
    "stray found": "A start found a directory that no topic has.",
    "stopped uncleanly": "A stop could not say that it was clean.",
    "malformed request": "A client was hung up on for what it sent.",
}
CLIENTS = {
    "connection reset": "A connection was reset.",
    "half-open noticed": "The broker found out that a client was gone when it wrote to it.",
    "client died with requests in flight": "A client's machine was gone before its answers.",
    "storm of connections": "Many connected at once.",
    "slow reader": "A reader was so slow that its writer had to wait.",
    "clock stepped forward": "The wall clock of the broker jumped ahead.",
    "clock stepped back": "The wall clock of the broker jumped back.",
}
CLUSTER: dict[str, str] = {
    "possible loss logged": "The last leader was elected, and may lack acknowledged records.",
    "leader elected from the ISR": "A leader was gone, and a member of the ISR was elected.",
    "leader elected from the ELR": "The ISR was empty, and one of the ELR was elected.",
    "leader elected again": "A leader's next life leads in another epoch.",
    "leadership moved while its leader lived": "To the preferred replica, or before a stop.",
    "partition without a leader": "Nobody could be elected.",
    "ISR shrunk by its leader": "A follower was too far behind.",
    "ISR grown by its leader": "A follower had caught up.",
    "ISR asked for once more": "The same ISR in a later epoch: it settles what is unknown.",
    "ISR below its minimum": "Too few were left to commit anything.",
    "broker eligible outside the ISR": "Who left an ISR below its minimum went to the ELR.",
    "outcome of an ISR change unknown": "A leader without an answer counted both ISRs.",
    "ISR change unknown and applied late": "A change came into force after its leader gave it up.",
    "change applied after its sender had given up": "Of the store, by whomever.",
    "follower awaited before it joins": "The high watermark waited for who was about to join.",
    "follower truncated by epoch": "A follower cut what its leader does not have.",
    "records wait for enough in sync": "A leader could not commit below the minimum of its ISR.",
    "deposed leader not told yet": "A broker led in an epoch that was over.",
    "leader goes on without the store": "A leader served while it could not reach the store.",
    "leader does not know that its lease has ended": "A leader served that was no member any more.",
    "leader lost": "A broker died that led a partition.",
    "leader lost with unacknowledged records": "It had records above the high watermark.",
    "leader lost with records not durable": "It had records that no flush had covered.",
    "leader lost with an ISR change under way": "It had asked, and was not answered yet.",
    "follower lost between append and flush": "A follower died with records not durable.",
    "controller lost": "The broker died that held the office.",
    "office handed on": "Another broker is the controller.",
    "broker lost before its admission": "A broker died that had registered, and did not count yet.",
    "all brokers down": "The last broker that ran died.",
    "power lost": LIVES["power lost"],
    "killed": LIVES["killed"],
    "power lost while starting": LIVES["power lost while starting"],
    "killed while starting": LIVES["killed while starting"],
}
TOLD = {
    "damaged batch refused": "A batch that had changed on its way was refused.",
    "batch out of its turn refused": "A batch came whose predecessor is not stored.",
    "batch refused by the disk": "A Produce was answered that the disk had failed.",
    "batch found again": "A batch that is stored was sent again, and told its first offset.",
    "batch confirmed after a restart": "A dead broker had not answered for it; the next one did.",
    "producer begun anew": "A power loss took what was known of a producer: it got a new id.",
    "sequence numbers wrapped": "A producer's numbers went past the greatest one, and on from 0.",
    "position out of range": "A reader stood where no record is any more.",
    "fetch session lost": "A fetch session was not known to the next life.",
    "fetch refused by the disk": "A Fetch was answered that the disk had failed.",
    "member id given out": "A new member was told its id, and to join with it.",
    "join of a member that is gone": "A member joined whose id was not known any more.",
    "leader told of its generation": "A leader was told the members, and assigned nothing yet.",
    "generation of several members": "A leader was told of others than itself.",
    "static member came back": "A static member joined anew, and got another id.",
    "member told to join again": "A heartbeat was answered that a rebalance goes on.",
    "session of a member ended": "A heartbeat came after the end of its session.",
    "commit or join not durable": "A coordinator's record was not stored, or there was none yet.",
    "groups not loaded": "A client was told that its group is nobody's here.",
    "topic created twice": "A topic was to be created that exists.",
    "topic deleted twice": "A topic was to be deleted that is gone.",
    "topic looked up that is gone": "Metadata were asked for a topic that is not there.",
    "change of the metadata not confirmed": "A change was answered REQUEST_TIMED_OUT.",
    "request given up": "A client hung up because no answer came.",
    "answer lost": "A connection ended with one request unanswered.",
    "several answers lost": "A connection ended with several requests unanswered.",
    "broker not reached": "A client could not connect.",
    "aiokafka produced through a fault": "Its record was confirmed by a later life of the broker.",
    "aiokafka's group went on over a restart": "A member committed to two lives of the broker.",
}

SITUATIONS: dict[str, str] = LIVES | OPERATIONS | STATES | STORAGE | SAID | CLIENTS | TOLD


class Situations:
    """Mutable: counts what happened. `awaited` are called when that happens next, once."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.awaited: dict[str, Callable[[], None]] = {}

    def saw(self, name: str) -> None:
        assert name in SITUATIONS or name in CLUSTER, name
        self.counts[name] += 1
        if name in self.awaited:
            self.awaited.pop(name)()
