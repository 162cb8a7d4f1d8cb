"""The command line as a user meets it, up to the point where a broker would start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kbroker.__main__ import main
from kbroker.version import __version__

ROOT = Path(__file__).resolve().parent.parent.parent


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 2) -> str:
    """The one line that `kbroker ARGUMENTS` answers on standard error."""
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("kbroker: ")
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    return captured.err


def test_help_shows_a_newcomer_what_to_type(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for part in ("--data DIR", "--listen HOST:PORT", "kcat -b 127.0.0.1:9092", "127.0.0.1:0"):
        assert part in shown


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kbroker {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dta", "x"], "No such option '--dta'"),
        (["--data"], "Option '--data' requires an argument"),
        (["topic"], "No such command 'topic'"),
        (["--log-level", "loud"], "'loud' is not one of"),
        (["--listen", "9092"], "--listen 9092: expected HOST:PORT"),
        (["--listen", "localhost:http"], "--listen: listeners: Unable to parse"),
        (["--set", "num.partitions"], "--set num.partitions: expected key=value"),
        (["--set", "num.partition=1"], "unknown key num.partition; the nearest"),
        (["--set", "num.partitions=0"], "--set: Invalid value 0 for configuration num.partitions"),
        (
            ["--metadata", "zk://h:1"],
            "--metadata: Invalid value zk://h:1 for configuration kbroker",
        ),
        (["--node-id", "one"], "--node-id: Invalid value one for configuration node.id"),
        (["--config", "/no/such/file"], "cannot read /no/such/file: No such file or directory"),
        (["--config", "/"], "cannot read /: Is a directory"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(capsys, arguments, words):
    assert words in refusal(capsys, *arguments)


def test_a_fault_in_a_file_names_key_file_and_line(capsys, tmp_path):
    path = tmp_path / "server.properties"
    path.write_text("num.partitions=1\nlog.segmnt.bytes=5\n")
    line = refusal(capsys, "--config", str(path))
    assert line == (
        f"kbroker: {path}:2: unknown key log.segmnt.bytes; the nearest valid key is"
        " log.segment.bytes\n"
    )


def test_a_fault_in_the_environment_names_the_variable(capsys, monkeypatch):
    monkeypatch.setenv("KAFKA_NUM_PARTITIONS", "many")
    assert "environment variable KAFKA_NUM_PARTITIONS: Invalid value many" in refusal(capsys)


def run_python(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_python_without_asserts_is_refused(tmp_path):
    done = run_python("-O", "-m", "kbroker", "--version", directory=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "kbroker: python -O removes assertions, which guard your data: start without it\n"
    )


def test_a_foreign_module_under_one_of_our_names_is_told_in_one_line(tmp_path):
    (tmp_path / "log.py").write_text("")
    done = run_python("-m", "kbroker", directory=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f'kbroker: the module "log" comes from {tmp_path}/log.py')
    assert done.stderr.count("\n") == 1


def test_help_imports_nothing_of_the_broker(tmp_path):
    program = (
        "import sys; from kbroker.__main__ import main; main(['--version']);"
        "print(sorted(m for m in ('asyncio', 'sqlite3', 'wire.schema', 'log') if m in sys.modules))"
    )
    done = run_python("-c", program, directory=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"
