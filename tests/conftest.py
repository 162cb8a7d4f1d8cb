"""For all tests: hypothesis looks for wrong answers, not for slow ones; logging stays as it was."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A deadline is a wall-clock threshold: it fails on a busy machine and proves nothing on a fast one.
settings.register_profile("kbroker", deadline=None, print_blob=True)
settings.load_profile("kbroker")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that a test calls sets up logging for its process, which is also that of the tests
    behind it: to a standard error that is gone by then."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
