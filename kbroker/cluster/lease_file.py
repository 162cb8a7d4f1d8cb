"""The id of the lease that a broker's registration hangs on, kept for its next start.

After a crash the next start ends that lease and registers at once, without waiting for it to run
out. Counterpart: `membership.py`.
"""

from __future__ import annotations

import logging

from log.file_system import FileSystem, write_atomically

logger = logging.getLogger(__name__)

LEASE_FILE = "membership-lease"
"""Its name in the data directory: no partition's directory is called so."""
NO_LEASE = 0


class LeaseFile:
    """One small text file: the id in hexadecimal. It may be missing; then a lease is waited for."""

    def __init__(self, file_system: FileSystem, path: str) -> None:
        self._file_system = file_system
        self._path = path

    def read(self) -> int:
        """NO_LEASE where there is none, or one that makes no sense. Raises OSError."""
        if not self._file_system.exists(self._path):
            return NO_LEASE
        text = self._file_system.read_file(self._path)
        try:
            return int(text, 16)
        except ValueError:
            logger.warning("%s is not the id of a lease: %r", self._path, text[:100])
            return NO_LEASE

    def write(self, lease: int) -> None:
        """Durable on return. Raises OSError."""
        write_atomically(self._file_system, self._path, f"{lease:x}\n".encode("ascii"))
