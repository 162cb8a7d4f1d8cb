"""An executor whose jobs wait until a test lets them go: what happens meanwhile is in its hands."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class HeldExecutor(ThreadPoolExecutor):
    """Does nothing until it is let go, and then everything at once. Mutable."""

    def __init__(self) -> None:
        super().__init__(1)
        self.jobs: list[tuple[Future[object], Callable[[], object]]] = []

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def, override]
        future: Future[object] = Future()
        self.jobs.append((future, lambda: fn(*args, **kwargs)))
        return future

    def let_go(self) -> None:
        jobs, self.jobs = self.jobs, []
        for future, job in jobs:
            try:
                future.set_result(job())
            except OSError as error:
                future.set_exception(error)
