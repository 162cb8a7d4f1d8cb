"""A click group that knows its commands by name and imports one when it is called.

That keeps `kbroker --help`, `kbroker --version` and the start of a broker free of their imports.
"""

from __future__ import annotations

import importlib

import click

from kbroker.cli import COMMANDS


class LazyCommands(click.Group):
    """The commands of `kbroker.cli.COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = importlib.import_module(module).command
        assert isinstance(command, click.Command), module
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help, from the table rather than from the modules."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def show_help_alone(context: click.Context) -> int:
    """For a command that has commands: called without one it shows them. The exit status."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return 2
    return 0
