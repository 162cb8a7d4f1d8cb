"""The commands by name: in the help without being imported, and each one there when called."""

import subprocess
import sys

import click
import pytest

from kbroker.__main__ import cli, main
from kbroker.cli import COMMANDS

HEAVY = ("kafka", "rich", "asyncio", "sqlite3", "wire.schema", "log", "kbroker.broker")


def test_the_help_lists_every_command_with_what_it_does(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in shown
        assert text in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_there_and_has_a_help(name: str, capsys):
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    assert main([name, "--help"]) == 0
    assert f"kbroker {name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_neither_help_nor_version_imports_a_command(arguments: list[str]):
    program = (
        f"import sys; from kbroker.__main__ import main; main({arguments!r});"
        "modules = [m for m in sys.modules if m.startswith('kbroker.cli.')];"
        f"print(sorted(modules + [m for m in {HEAVY!r} if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "['kbroker.cli.lazy_commands']"


def test_a_command_that_is_not_there_is_one_line(capsys):
    assert main(["topicks"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", ["topics", "groups", "configs", "offsets"])
def test_a_command_of_commands_shows_them(name: str, capsys):
    assert main([name]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"Usage: kbroker {name} [OPTIONS] [COMMAND] [ARGS]..." in shown.err
