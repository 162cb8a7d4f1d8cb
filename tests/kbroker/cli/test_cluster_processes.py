"""Processes that are listened to, and ended one by one."""

import itertools
import os
import signal
import sys

import pytest

from kbroker.cli.cluster_processes import Children, describe_end

DEADLINE_S = 30.0
WAITS = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); " + WAITS


@pytest.fixture
def lines():
    return []


@pytest.fixture
def children(lines):
    made = Children(lambda child, line: lines.append((child.name, line)))
    yield made
    for child in made._children:
        if child.process.poll() is None:
            child.process.kill()
            child.process.wait(DEADLINE_S)


@pytest.fixture
def start(children):
    """Starts a Python program."""

    def run(name, program, **options):
        command = [sys.executable, "-c", program]
        return children.start(name, command, environment=os.environ, **options)

    return run


def wait_for(children, is_so):
    for _ in range(1000):
        if is_so():
            return
        children.wait(DEADLINE_S)
    raise AssertionError("it never came to that")


def frozen():
    """A clock that does not move."""
    return 0.0


def test_lines_of_its_errors_are_handed_on_and_its_output_is_kept(children, start, lines):
    program = "import sys; print('ready'); sys.stderr.write('one\\ntwo\\nlast')"
    child = start("a", program)
    wait_for(children, lambda: not child.runs)
    assert child.told == "ready\n"
    assert lines == [("a", "one"), ("a", "two"), ("a", "last")]
    assert (child.status, child.last_words) == (0, "last")


def test_a_line_without_an_end_is_taken_in_pieces(children, start, lines):
    child = start("a", "import sys; sys.stderr.write('x' * 3_000_000)")
    wait_for(children, lambda: not child.runs)
    assert len(lines) > 1
    assert "".join(line for _, line in lines) == "x" * 3_000_000


def test_errors_may_go_to_a_file(children, start, lines, tmp_path):
    child = start("a", "import sys; sys.stderr.write('one\\n')", log_path=str(tmp_path / "log"))
    wait_for(children, lambda: not child.runs)
    assert lines == []
    assert (tmp_path / "log").read_text() == "one\n"


def test_an_end_is_seen_and_told(children, start):
    child = start("a", WAITS)
    wait_for(children, lambda: "up" in child.told)
    assert child.runs
    child.signal(signal.SIGKILL)
    wait_for(children, lambda: not child.runs)
    assert describe_end(child.status) == "was killed by SIGKILL"
    child.signal(signal.SIGTERM)  # nobody is there, and nobody else is hit


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "ended with status 0"), (-15, "was killed by SIGTERM"), (-99, "was killed by signal 99")],
)
def test_ends_in_words(status, words):
    assert describe_end(status) == words


def test_those_that_are_asked_end_and_none_is_killed(children, start):
    both = [start("a", WAITS), start("b", WAITS)]
    other = start("c", WAITS)
    wait_for(children, lambda: all("up" in child.told for child in (*both, other)))
    assert children.stop(both, within_s=DEADLINE_S, now_s=frozen) == []
    assert [child.status for child in both] == [-signal.SIGTERM] * 2
    assert other.runs


def test_one_that_does_not_end_in_time_is_killed(children, start):
    child = start("a", STUBBORN)
    wait_for(children, lambda: "up" in child.told)
    ticks = itertools.count(0, 10.0)
    assert children.stop([child], within_s=5, now_s=lambda: next(ticks)) == [child]
    assert child.status == -signal.SIGKILL


def test_who_asks_once_more_does_not_want_to_wait(children, start):
    child = start("a", STUBBORN)
    wait_for(children, lambda: "up" in child.told)
    with children.catching_signals():
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(children, lambda: children.interrupts == 1)
        helper = start("b", f"import os; os.kill({os.getpid()}, {int(signal.SIGTERM)})")
        assert children.stop([child], within_s=DEADLINE_S, now_s=frozen) == [child]
        wait_for(children, lambda: not helper.runs)
    assert children.interrupts == 2


def test_the_terminals_interrupt_does_not_reach_them(children, start):
    child = start("a", "import os; print(os.getsid(0) == os.getpid(), flush=True)")
    wait_for(children, lambda: not child.runs)
    assert child.told == "True\n"


def test_a_descriptor_may_be_handed_on(children, start):
    reading, writing = os.pipe()
    child = start("a", f"import os; os.write({writing}, b'x')", inherited=[writing])
    wait_for(children, lambda: not child.runs)
    os.close(writing)
    assert os.read(reading, 10) == b"x"
    os.close(reading)
