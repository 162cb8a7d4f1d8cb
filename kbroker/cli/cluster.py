"""`kbroker cluster`: a cluster on this machine, and how any cluster is."""

from __future__ import annotations

import click

from kbroker.cli.cluster_status import status
from kbroker.cli.cluster_up import up
from kbroker.cli.lazy_commands import show_help_alone


@click.group("cluster", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> int:
    """A local cluster for development, and how a cluster is."""
    return show_help_alone(context)


command.add_command(up)
command.add_command(status)
