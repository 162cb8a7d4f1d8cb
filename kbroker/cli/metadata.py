"""`kbroker metadata`: moving a single node's to an etcd, and going on from a backup of them."""

from __future__ import annotations

import os

import click

from kbroker.cli.connection import refuse
from kbroker.cli.health import read_settings
from kbroker.cli.lazy_commands import show_help_alone
from kbroker.cli.tables import show_table
from kbroker.config import sources


@click.group("metadata", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> int:
    """Where the metadata of a cluster are."""
    return show_help_alone(context)


@command.command("migrate", short_help="Make a stopped single broker the first of a cluster.")
@click.option("--data", metavar="DIR", required=True, help="The data directory of the broker.")
@click.option(
    "--to",
    "url",
    metavar="URL",
    required=True,
    help="etcd://HOST:PORT[,HOST:PORT...][/NAME], etcds:// with TLS.",
)
@click.option(
    "--config", metavar="FILE", help="The broker's properties, for user, password and TLS of etcd."
)
@click.option(
    "--set", "assignments", metavar="KEY=VALUE", multiple=True, help="One key; may be repeated."
)
@click.option("--apply", is_flag=True, help="Do it; without, only show what would be done.")
def migrate(
    *, data: str, url: str, config: str | None, assignments: tuple[str, ...], apply: bool
) -> int:
    """Move a stopped broker's metadata from its data directory into an etcd.

    It becomes the first broker of a cluster, with its topics and records, when it is started with
    --metadata. Shows the plan; --apply carries it out. What was interrupted can be repeated.
    """
    from kbroker.metadata_migration import MigrationRefusedError
    from kbroker.metadata_migration import migrate as move

    try:
        resolved = sources.resolve(
            [
                [] if config is None else read_settings(config),
                sources.read_environment(os.environ),
                [sources.read_assignment(text) for text in assignments],
                [
                    sources.Setting("log.dirs", data, "--data"),
                    sources.Setting("kbroker.metadata", url, "--to"),
                ],
            ]
        )
        node_id = resolved.config.node_id if "node.id" in resolved.settings else None
        report = move(resolved.config, apply=apply, wanted_node_id=node_id)
    except (sources.ConfigRefused, MigrationRefusedError) as error:
        return refuse(str(error))
    click.echo(f"Cluster {report.cluster_id}, node {report.node_id}, in {report.directory}")
    click.echo(f"to {url}: {report.target}")
    show_table(("WHAT", "COUNT"), [row for row in report.counts.items() if row[1]])
    if not apply:
        there = report.counts["keys in all"] - report.remaining_count
        if there:
            click.echo(f"{there} keys are there from an earlier, interrupted migration")
        click.echo("kbroker: nothing was changed; to do it add --apply", err=True)
        return 0
    click.echo(
        f"moved; start the broker with --data {data} --node-id {report.node_id} --metadata {url}"
    )
    return 0


@command.command("accept-restore", short_help="Go on from metadata restored from a backup.")
@click.option(
    "--metadata",
    "url",
    metavar="URL",
    required=True,
    help="etcd://HOST:PORT[,HOST:PORT...][/NAME], etcds:// with TLS.",
)
@click.option(
    "--config", metavar="FILE", help="The broker's properties, for user, password and TLS of etcd."
)
@click.option(
    "--set", "assignments", metavar="KEY=VALUE", multiple=True, help="One key; may be repeated."
)
@click.option("--apply", is_flag=True, help="Do it; without, only show what would be done.")
def accept_restore(
    *, url: str, config: str | None, assignments: tuple[str, ...], apply: bool
) -> int:
    """Let stopped brokers go on from an etcd that was restored from a backup.

    They refuse to, because it has forgotten what they have seen. This raises all epochs past what
    it can have forgotten. Records that were acknowledged after the backup may be lost where the
    replicas in sync are no longer those that the backup tells.
    """
    from kbroker.metadata_restoration import RestorationRefusedError
    from kbroker.metadata_restoration import accept_restore as accept

    try:
        resolved = sources.resolve(
            [
                [] if config is None else read_settings(config),
                sources.read_environment(os.environ),
                [sources.read_assignment(text) for text in assignments],
                [sources.Setting("kbroker.metadata", url, "--metadata")],
            ]
        )
        report = accept(resolved.config, apply=apply)
    except (sources.ConfigRefused, RestorationRefusedError) as error:
        return refuse(str(error))
    click.echo(f"Cluster {report.cluster_id} in {url}: {report.target}")
    click.echo(f"{report.partition_count} partitions, as of revision {report.revision}")
    if not apply:
        click.echo("kbroker: nothing was changed; to do it add --apply", err=True)
        return 0
    click.echo("accepted; start the brokers, those first that were in sync last")
    return 0
