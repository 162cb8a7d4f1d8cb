"""What a group of consumers may be told, judged over all of its members together.

At most one owner of a partition in a generation; generations never fall; who commits is a member of
the generation that holds. What members were told before a power loss holds no more where groups
have page-cache durability only. Pure; `GroupRules` is shared by the members of one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.invariant_error import InvariantError
from simulator.workload.requests import Partition


@dataclass(slots=True)
class GroupRules:
    """Mutable. `floor` is the highest generation whose assignment anybody was told: it is stored.

    A generation that members have joined, and nobody was assigned anything in, may be lost in a
    crash, and its number used again.
    """

    group: str
    floor: int = 0
    owners: dict[tuple[int, Partition], str] = field(default_factory=dict)
    losses: int = 0

    def joined(self, member_id: str, generation: int, *, floor: int) -> None:
        """A join was answered. `floor`: as it was when the join was sent."""
        if generation < floor:
            raise InvariantError(
                f"{self.group}: {member_id} joined generation {generation} after {floor}"
            )

    def assigned(self, owner_id: str, generation: int, partitions: Sequence[Partition]) -> None:
        """A member was told what it owns in a generation."""
        self.floor = max(self.floor, generation)
        for partition in partitions:
            owner = self.owners.setdefault((generation, partition), owner_id)
            if owner != owner_id:
                raise InvariantError(
                    f"{self.group}: generation {generation} gives {partition} "
                    f"to {owner} and to {owner_id}"
                )

    def committed(self, member_id: str, generation: int, *, floor: int) -> None:
        """A commit was acknowledged. `floor`: as it was when the commit was sent."""
        if generation < floor:
            raise InvariantError(
                f"{self.group}: {member_id} committed in generation {generation} during {floor}"
            )

    def forget(self, losses: int) -> None:
        """What was stored may be gone."""
        if losses != self.losses:
            self.losses = losses
            self.floor = 0
            self.owners.clear()
