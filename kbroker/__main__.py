"""The command line: `kbroker`, or `python -m kbroker`, starts a broker.

It turns options, a properties file and the environment into a `BrokerConfig` and hands it to
`kbroker.process`. Nothing heavy is imported before that, so that `--help` and `--version` are
instant. Exit status: 0 after an orderly stop, 1 when the broker cannot start, 2 when it was asked
wrongly. Every refusal is one line on standard error.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from kbroker import log_lines
from kbroker.cli.lazy_commands import LazyCommands
from kbroker.version import __version__

if TYPE_CHECKING:
    from kbroker.config.sources import Setting

OWN_PACKAGES = ("wire", "log", "coordinator")
PAGE_CACHE = 2**63 - 1  # flush after so many records: never, the page cache holds them

EPILOG = """\b
Examples:
  kbroker                                    data in ./data, clients at 127.0.0.1:9092
  kbroker --data /var/lib/kbroker --listen 0.0.0.0:9092
  kbroker --listen 127.0.0.1:0 --dev         any free port, fast, for tests
  kbroker --config server.properties --set num.partitions=3
  KAFKA_LOG_RETENTION_MS=60000 kbroker

\b
Then, in another terminal:
  echo hello | kcat -b 127.0.0.1:9092 -P -t greetings
  kcat -b 127.0.0.1:9092 -C -t greetings -e
or with its own commands:
  echo hello | kbroker produce greetings --create
  kbroker consume greetings

\b
Configuration keys are Apache Kafka's own. Where one is given more than once:
  --set  over  other options  over  KAFKA_* variables  over  --config  over  defaults
"""


@click.group(
    cls=LazyCommands,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND ...]",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--data", metavar="DIR", help="Directory for the data.  [default: ./data]")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Address for clients; port 0 takes a free one.  [default: 127.0.0.1:9092]",
)
@click.option("--config", metavar="FILE", help="A properties file with Kafka's keys.")
@click.option(
    "--set", "assignments", metavar="KEY=VALUE", multiple=True, help="One key; may be repeated."
)
@click.option(
    "--dev",
    is_flag=True,
    help="Answer producers before records are on the disk: faster, and a power loss may lose them.",
)
@click.option(
    "--http",
    metavar="HOST:PORT",
    help="Address for /metrics, /livez and /readyz.  [default: none]",
)
@click.option(
    "--metadata",
    metavar="URL",
    help="etcd://HOST:PORT[,HOST:PORT...][/NAME]: be one of the brokers of a cluster, which share"
    " that etcd; etcds:// with TLS.  [default: sqlite, a broker by itself]",
)
@click.option(
    "--node-id", metavar="ID", help="This broker's number, unique in its cluster.  [default: 1]"
)
@click.option("-v", "--verbose", is_flag=True, help="The same as --log-level debug.")
@click.option(
    "--log-level",
    metavar="[LOGGER=]LEVEL",
    multiple=True,
    envvar="KBROKER_LOG_LEVEL",
    help="What is told on standard error: debug, info, warning or error; of one part with its"
    " name, as kbroker.replication=debug. May be repeated.  [default: info]",
)
@click.option(
    "--log-format",
    type=click.Choice(log_lines.FORMATS, case_sensitive=False),
    default="plain",
    show_default=True,
    envvar="KBROKER_LOG_FORMAT",
    help="The form of those lines.",
)
@click.version_option(__version__, prog_name="kbroker", message="%(prog)s %(version)s")
@click.pass_context
def cli(
    context: click.Context,
    data: str | None,
    listen: str | None,
    config: str | None,
    assignments: tuple[str, ...],
    dev: bool,
    http: str | None,
    metadata: str | None,
    node_id: str | None,
    verbose: bool,
    log_level: tuple[str, ...],
    log_format: str,
) -> int:
    """A durable broker that speaks Kafka's protocol: any Kafka client can produce and consume.

    Without a command it starts the broker and runs until Ctrl-C. What a producer was told is
    stored is on the disk, unless --dev is given.
    """
    if context.invoked_subcommand is not None:
        return 0
    try:
        levels = log_lines.parse_levels([*log_level, *(["debug"] if verbose else [])])
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--log-level'") from None
    log_lines.configure(levels, log_format)
    return start(
        data=data,
        listen=listen,
        config=config,
        assignments=assignments,
        dev=dev,
        http=http,
        metadata=metadata,
        node_id=node_id,
        environment=os.environ,
    )


def start(
    *,
    data: str | None,
    listen: str | None,
    config: str | None,
    assignments: Sequence[str],
    dev: bool,
    http: str | None,
    metadata: str | None,
    node_id: str | None,
    environment: Mapping[str, str],
) -> int:
    """Runs a broker until it is told to stop; its exit status. ClickException: asked wrongly."""
    from kbroker.config import sources

    options = []
    if data is not None:
        options.append(sources.Setting("log.dirs", data, "--data"))
    if listen is not None:
        if ":" not in listen:
            raise click.ClickException(f"--listen {listen}: expected HOST:PORT")
        options.append(sources.Setting("listeners", f"PLAINTEXT://{listen}", "--listen"))
    if http is not None:
        options.append(sources.Setting("kbroker.http.listener", http, "--http"))
    if node_id is not None:
        options.append(sources.Setting("node.id", node_id, "--node-id"))
    if metadata is not None:
        options.append(sources.Setting("kbroker.metadata", metadata, "--metadata"))
    if dev:
        options.append(sources.Setting("log.flush.interval.messages", str(PAGE_CACHE), "--dev"))
    try:
        resolved = sources.resolve(
            [
                [] if config is None else _read_file(config),
                sources.read_environment(environment),
                options,
                [sources.read_assignment(text) for text in assignments],
            ]
        )
    except sources.ConfigRefused as refusal:
        raise click.ClickException(str(refusal)) from None

    from kbroker import process
    from kbroker.broker import StartError

    try:
        return process.run(resolved.config, resolved.warnings)
    except StartError as error:
        return _refuse(str(error), status=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point of the `kbroker` command; the exit status."""
    if sys.flags.optimize:
        return _refuse("python -O removes assertions, which guard your data: start without it")
    foreign = _foreign_module()
    if foreign is not None:
        return _refuse(foreign, status=1)
    try:
        status = cli.main(arguments, prog_name="kbroker", standalone_mode=False)
    except click.UsageError as error:
        path = "kbroker" if error.ctx is None else error.ctx.command_path
        return _refuse(f"{error.format_message()} Try: {path} --help")
    except click.ClickException as error:
        return _refuse(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        return 130
    return int(status or 0)


def _refuse(message: str, *, status: int = 2) -> int:
    line = " ".join(message.split())
    click.echo(f"kbroker: {line}", err=True)
    return status


def _read_file(path: str) -> list[Setting]:
    from kbroker.config import sources

    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise sources.ConfigRefused(f"cannot read {path}: {error.strerror}") from None
    return sources.read_properties(path, data)


def _foreign_module() -> str | None:
    """What is wrong when another module answers to the name of one of ours, else None.

    Our packages have short names, and `python -m kbroker` looks in the working directory first.
    """
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for name in OWN_PACKAGES:
        spec = importlib.util.find_spec(name)
        places = (
            [] if spec is None else [*(spec.submodule_search_locations or []), str(spec.origin)]
        )
        if places[:1] != [os.path.join(home, name)]:
            found = f"comes from {places[0]}" if places else "is missing"
            return (
                f'the module "{name}" {found} instead of {home}: start in another directory,'
                " or with python -I -m kbroker"
            )
    return None


if __name__ == "__main__":
    sys.exit(main())
