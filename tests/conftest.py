"""For all tests: hypothesis looks for wrong answers, not for slow ones."""

from hypothesis import settings

# A deadline is a wall-clock threshold: it fails on a busy machine and proves nothing on a fast one.
settings.register_profile("kbroker", deadline=None, print_blob=True)
settings.load_profile("kbroker")
