"""Committed offsets of groups, judged as registers: a fetch tells the last commit. Part of History.

A commit takes effect between its call and its answer; one without an answer at any time from its
call until the broker's end, or never. So a fetch may tell what a commit wrote if that commit was
called before the fetch's answer, unless another was called after its answer and acknowledged before
the fetch was called. Commits of one session, that is one connection, take effect in their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

Partition = tuple[str, int]
Register = tuple[str, Partition]
"""Group and partition."""


@dataclass(slots=True)
class Commit:
    """`offset` None: deleted. The rest are moments; None: not yet, or never known. Mutable."""

    register: Register
    offset: int | None
    session: str | None
    called: int
    acknowledged: int | None = None
    settled: int | None = None
    """From when on it cannot take effect any more."""
    failed: bool = False
    forgiven: bool = False
    """It need not be there, also where an answer that was on its way says that it is."""


@dataclass(frozen=True, slots=True)
class Fetch:
    register: Register
    called: int


@dataclass(slots=True)
class CommitHistory:
    """Mutable. `wrong` gets one line for each fetch that told what it must not."""

    wrong: list[str] = field(default_factory=list)
    is_judging: bool = True
    """Whether fetches are: a deposed coordinator tells of the past until it hears of that."""
    _commits: dict[Register, list[Commit]] = field(default_factory=dict)
    _open: list[Commit] = field(default_factory=list)
    _now: int = 0

    def committing(
        self, group: str, partition: Partition, offset: int | None, *, session: str | None = None
    ) -> Commit:
        """A commit is sent. None: the offset is deleted."""
        commit = Commit((group, partition), offset, session, self._tick())
        self._commits.setdefault(commit.register, []).append(commit)
        self._open.append(commit)
        return commit

    def committed(self, commit: Commit) -> None:
        """It was acknowledged."""
        if commit.forgiven:
            return
        commit.acknowledged = self._tick()
        if commit.settled is None:
            commit.settled = commit.acknowledged
            self._open.remove(commit)

    def refused(self, commit: Commit) -> None:
        """The broker said that it did not and will not write it."""
        commit.failed = True
        if commit.settled is None:
            self._open.remove(commit)

    def broker_ended(self) -> None:
        """What is unanswered has taken effect by now or never will."""
        moment = self._tick()
        for commit in self._open:
            commit.settled = moment
        self._open.clear()

    def forgive(self) -> None:
        """No commit so far has to be there any more: power was lost, and the page cache was all
        that was promised. Each may be there."""
        moment = self._tick()
        for commits in self._commits.values():
            for commit in commits:
                commit.acknowledged, commit.settled, commit.session = None, moment, None
                commit.forgiven = True

    def fetching(self, group: str, partition: Partition) -> Fetch:
        return Fetch((group, partition), self._tick())

    def fetched(self, fetch: Fetch, offset: int | None) -> None:
        """The answer to a fetch; None: there is no committed offset."""
        if self.is_judging and offset not in self._allowed(fetch):
            group, (topic, index) = fetch.register
            allowed = sorted("none" if each is None else str(each) for each in self._allowed(fetch))
            self.wrong.append(
                f"{group} has {offset} for {topic}-{index}, and must have {' or '.join(allowed)}"
            )

    def last_acknowledged(self) -> Iterator[tuple[str, Partition, int]]:
        """Group, partition and offset of the acknowledged commit that was called last."""
        for (group, partition), commits in self._commits.items():
            for commit in reversed(commits):
                if commit.acknowledged is not None:
                    if commit.offset is not None:
                        yield group, partition, commit.offset
                    break

    def _allowed(self, fetch: Fetch) -> set[int | None]:
        commits = [each for each in self._commits.get(fetch.register, ()) if not each.failed]
        known = [
            each
            for each in commits
            if each.acknowledged is not None and each.acknowledged < fetch.called
        ]
        # Of those known, the one that was called last overwrites the most: of all, and by session.
        last = max((each.called for each in known), default=-1)
        last_of: dict[str | None, int] = {}
        for each in known:
            if each.session is not None:
                last_of[each.session] = each.called
        allowed = {
            each.offset
            for each in commits
            if (each.settled is None or each.settled > last)
            and each.called >= last_of.get(each.session, 0)
        }
        return allowed if known else {None, *allowed}

    def _tick(self) -> int:
        self._now += 1
        return self._now
