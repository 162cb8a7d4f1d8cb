"""What ends a run as failed: something does not hold that must."""


class InvariantError(Exception):
    """One line that says what does not hold."""
