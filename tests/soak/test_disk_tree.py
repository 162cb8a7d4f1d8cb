"""The semantics of the failing disk, without a mount: what is durable, what fails, what hangs."""

import errno
import os
import random
import threading

import pytest

from tests.soak.disk_tree import DiskTree


class Kept:
    """Chance that fell so that nothing unflushed came to the disk, or all of it."""

    def __init__(self, all_of_it: bool) -> None:
        self.all_of_it = all_of_it

    def choice(self, options):
        return options[1 if self.all_of_it else 0]

    def random(self) -> float:
        return 0.0 if self.all_of_it else 0.4

    def randrange(self, stop: int) -> int:
        return stop - 1 if self.all_of_it else 0


@pytest.fixture
def tree() -> DiskTree:
    """With the durable file /kept."""
    tree = DiskTree()
    handle = tree.create("/kept", 0o644, os.O_RDWR)
    tree.write(None, b"kept", 0, handle)
    tree.fsync(None, 0, handle)
    tree.fsyncdir(None, 0, tree.opendir("/"))
    return tree


def content(tree: DiskTree, path: str) -> bytes:
    return tree.read(None, 1 << 20, 0, tree.open(path, os.O_RDONLY))


def names(tree: DiskTree, path: str = "/") -> list[str]:
    return [name for name, _, _ in tree.readdir(None, tree.opendir(path))][2:]


def test_bytes_are_durable_after_an_fsync_and_lost_without(tree):
    handle = tree.open("/kept", os.O_RDWR)
    tree.write(None, b"KEPT and more", 0, handle)
    assert content(tree, "/kept") == b"KEPT and more"
    tree.lose_power(Kept(False))
    assert content(tree, "/kept") == b"kept"
    handle = tree.open("/kept", os.O_RDWR)
    tree.write(None, b"KEPT", 0, handle)
    tree.fsync(None, 1, handle)
    tree.lose_power(Kept(False))
    assert content(tree, "/kept") == b"KEPT"


def test_what_was_not_fsynced_may_also_have_come_to_the_disk(tree):
    tree.write(None, b"KEPT", 0, tree.open("/kept", os.O_RDWR))
    tree.lose_power(Kept(True))
    assert content(tree, "/kept") == b"KEPT"


def test_names_are_durable_after_an_fsync_of_their_directory(tree):
    tree.mkdir("/made", 0o755)
    tree.rename("/kept", "/made/moved")
    tree.fsync(None, 0, tree.create("/new", 0o644, os.O_RDWR))
    assert names(tree) == ["made", "new"]
    tree.lose_power(Kept(False))
    assert names(tree) == ["kept"]
    tree.mkdir("/made", 0o755)
    tree.fsyncdir(None, 0, tree.opendir("/"))
    tree.lose_power(Kept(False))
    assert names(tree) == ["kept", "made"]


def test_the_process_dies_and_all_stays(tree):
    tree.write(None, b"KEPT", 0, tree.open("/kept", os.O_RDWR))
    tree.keep_power()
    assert content(tree, "/kept") == b"KEPT"
    tree.lose_power(Kept(False))
    assert content(tree, "/kept") == b"kept"


def test_a_truncation_is_as_durable_as_a_write(tree):
    handle = tree.open("/kept", os.O_RDWR)
    tree.truncate(None, 2, handle)
    assert tree.getattr("/kept")["st_size"] == 2
    tree.lose_power(Kept(False))
    assert content(tree, "/kept") == b"kept"
    tree.truncate("/kept", 1)
    tree.fsync(None, 0, tree.open("/kept", os.O_RDWR))
    tree.lose_power(Kept(False))
    assert content(tree, "/kept") == b"k"
    tree.open("/kept", os.O_WRONLY | os.O_TRUNC)
    assert content(tree, "/kept") == b""


def test_an_open_file_outlives_its_name(tree):
    handle = tree.open("/kept", os.O_RDWR)
    tree.unlink("/kept")
    assert names(tree) == []
    assert tree.read(None, 4, 0, handle) == b"kept"
    tree.close(None, handle)


@pytest.mark.parametrize("operation", ["fsync", "read", "write", "truncate", "open"])
def test_an_error_of_one_operation_on_one_path(tree, operation):
    handle = tree.open("/kept", os.O_RDWR)
    calls = {
        "fsync": lambda: tree.fsync(None, 0, handle),
        "read": lambda: tree.read(None, 1, 0, handle),
        "write": lambda: tree.write(None, b"x", 0, handle),
        "truncate": lambda: tree.truncate(None, 1, handle),
        "open": lambda: tree.open("/kept", os.O_RDWR),
    }
    tree.fail(operation, "/other", errno.EIO)
    tree.fail(operation, "/k*", errno.EIO, skip=1, count=1)
    calls[operation]()
    with pytest.raises(OSError) as caught:
        calls[operation]()
    assert caught.value.errno == errno.EIO
    calls[operation]()
    assert tree.read_counts()["errors"] == 1


def test_what_a_failed_fsync_was_to_write_no_later_one_writes(tree):
    handle = tree.open("/kept", os.O_RDWR)
    tree.write(None, b"KEPT", 0, handle)
    tree.fail("fsync", "*", errno.EIO, count=1)
    with pytest.raises(OSError):
        tree.fsync(None, 0, handle)
    tree.fsync(None, 0, handle)
    assert content(tree, "/kept") == b"KEPT"
    tree.write(None, b"!", 4, handle)
    tree.drop_caches()
    assert content(tree, "/kept") == b"kept!"
    tree.lose_power(Kept(False))
    assert content(tree, "/kept") == b"kept!"


def test_a_full_disk_takes_what_fits_and_more_when_there_is_room(tree):
    handle = tree.open("/kept", os.O_RDWR)
    tree.leave_room(3)
    assert tree.write(None, b"12345", 4, handle) == 3
    with pytest.raises(OSError) as caught:
        tree.write(None, b"45", 7, handle)
    assert caught.value.errno == errno.ENOSPC
    assert tree.write(None, b"KEPT", 0, handle) == 4, "what grows nothing needs no room"
    assert tree.statfs("/")["f_bavail"] == 0
    tree.heal()
    assert tree.write(None, b"45", 7, handle) == 2
    assert content(tree, "/kept") == b"KEPT12345"
    tree.unlink("/kept")
    assert tree.read_counts()["used_bytes"] == 0


def test_a_slow_fsync_covers_what_was_written_before_it(tree):
    handle = tree.open("/kept", os.O_RDWR)
    tree.slow_fsync = ("*", 60.0)
    tree.write(None, b"1", 0, handle)
    slow = threading.Thread(target=tree.fsync, args=(None, 0, handle))
    slow.start()
    while tree.read_counts()["fsyncs"] < 3:
        pass
    tree.write(None, b"2", 1, handle)
    tree.release()  # ends the wait
    slow.join()
    tree.lose_power(Kept(False))
    assert content(tree, "/kept") == b"1ept"


def test_a_frozen_disk_hangs_whoever_asks_and_takes_no_more(tree):
    news: list[str] = []
    told = threading.Event()
    tree.tell = lambda event: (news.append(event), told.set())[0]
    handle = tree.open("/kept", os.O_RDWR)
    tree.freeze_after = tree.counts.changes + 1
    tree.write(None, b"K", 0, handle)
    errors: list[OSError] = []

    def flush() -> None:
        try:
            tree.fsync(None, 0, handle)
        except OSError as error:
            errors.append(error)

    hanging = threading.Thread(target=flush)
    hanging.start()
    assert told.wait(60)
    assert tree.is_frozen
    assert not errors
    tree.release()
    hanging.join()
    assert len(errors) == 1
    assert news == ["frozen"]
    tree.lose_power(Kept(False))
    assert not tree.is_frozen
    assert content(tree, "/kept") == b"kept"


def test_any_chance_leaves_what_was_durable(tree):
    handle = tree.open("/kept", os.O_RDWR)
    for seed in range(30):
        tree.write(None, bytes(2000), 4, handle)
        tree.rename("/kept", "/kept")
        tree.lose_power(random.Random(seed))
        assert content(tree, "/kept")[:4] == b"kept"
        handle = tree.open("/kept", os.O_RDWR)


@pytest.mark.parametrize(
    ("call", "number"),
    [
        (lambda tree: tree.open("/none", 0), errno.ENOENT),
        (lambda tree: tree.getattr("/kept/below"), errno.ENOTDIR),
        (lambda tree: tree.mkdir("/kept", 0o755), errno.EEXIST),
        (lambda tree: tree.opendir("/kept"), errno.ENOTDIR),
        (lambda tree: tree.unlink("/full"), errno.EISDIR),
        (lambda tree: tree.rmdir("/full"), errno.ENOTEMPTY),
        (lambda tree: tree.rename("/none", "/other"), errno.ENOENT),
        (lambda tree: tree.rename("/empty", "/full"), errno.ENOTEMPTY),
    ],
)
def test_wrong_names_are_answered_as_a_file_system_does(tree, call, number):
    tree.mkdir("/full", 0o755)
    tree.mkdir("/full/below", 0o755)
    tree.mkdir("/empty", 0o755)
    with pytest.raises(OSError) as caught:
        call(tree)
    assert caught.value.errno == number
    tree.rmdir("/empty")


def test_an_erased_disk_is_empty(tree):
    tree.erase()
    assert names(tree) == []
    assert tree.read_counts()["used_bytes"] == 0
