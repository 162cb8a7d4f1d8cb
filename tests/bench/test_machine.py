"""Data must lie on a disk; which file system that is follows from the longest mount point."""

from __future__ import annotations

import os
import pathlib

from bench.machine import file_system_of, prime_page_cache

MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/vdb /tmp/disk xfs rw 0 0
"""


def test_the_longest_mount_point_wins() -> None:
    assert file_system_of("/home/x", MOUNTS) == "ext4"
    assert file_system_of("/tmp/x", MOUNTS) == "tmpfs"
    assert file_system_of("/tmp/disk/x", MOUNTS) == "xfs"


def test_a_name_that_merely_begins_like_a_mount_point_is_not_below_it() -> None:
    assert file_system_of("/tmpfoo", MOUNTS) == "ext4"
    assert file_system_of("/x", "") == "unknown"


def test_priming_leaves_nothing_behind(tmp_path: pathlib.Path) -> None:
    prime_page_cache(str(tmp_path), 3 << 20)
    assert os.listdir(tmp_path) == []
