"""`kbroker health`: whether the broker that is configured here serves, for health checks.

It finds the broker as the broker finds its own address, from the same options, file and
environment, asks one question over a plain socket, and needs no client library.
"""

from __future__ import annotations

import os
import socket

import click

from kbroker.cli.connection import CommandError, Target, check_bootstrap, refuse
from kbroker.config import sources
from wire.errors import WireError
from wire.frame import read_response, request_frame
from wire.messages.metadata import MetadataRequest, MetadataResponse

VERSION = 12
CLIENT_ID = "kbroker-health"
MAX_RESPONSE_BYTES = 1 << 20
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where to knock at a listener that is open on every interface."""


@click.command(short_help="Whether the broker configured here serves.")
@click.option(
    "--bootstrap",
    metavar="HOST:PORT",
    callback=lambda context, option, value: value and check_bootstrap(context, option, value),
    help="Another broker than the one configured here.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=60),
    metavar="SECONDS",
    default=3.0,
    show_default=True,
    help="How long to wait.",
)
@click.pass_context
def command(context: click.Context, bootstrap: str | None, timeout: float) -> int:
    """Status 0 if the broker serves: it answers, and knows its cluster's controller.

    The broker is the one that the options before "health", --config's file and the KAFKA_*
    variables describe, so that a container checks itself: `kbroker health`.
    """
    options = context.parent.params if context.parent is not None else {}
    try:
        target = Target(bootstrap or configured_address(options), timeout)
        controller_id = ask_for_controller(target)
    except (CommandError, sources.ConfigRefused) as error:
        return refuse(str(error))
    if controller_id < 0:
        return refuse(f"the broker at {target.bootstrap} has no controller yet")
    click.echo(f"the broker at {target.bootstrap} serves")
    return 0


def configured_address(options: dict[str, object]) -> str:
    """HOST:PORT of the first listener. `options` are those before the command. ConfigRefused."""
    layers = [sources.read_environment(os.environ)]
    path = options.get("config")
    if isinstance(path, str):
        layers.insert(0, read_settings(path))
    listen = options.get("listen")
    if isinstance(listen, str):
        layers.append([sources.Setting("listeners", f"PLAINTEXT://{listen}", "--listen")])
    listener = sources.resolve(layers).config.parsed_listeners().opened[0]
    return f"{EVERYWHERE.get(listener.host, listener.host)}:{listener.port}"


def read_settings(path: str) -> list[sources.Setting]:
    """What a properties file says. ConfigRefused."""
    try:
        with open(path, "rb") as file:
            return sources.read_properties(path, file.read())
    except OSError as error:
        raise sources.ConfigRefused(f"cannot read {path}: {error.strerror}") from None


def ask_for_controller(target: Target) -> int:
    """The controller's id, or -1, as the broker tells it. CommandError if it does not answer."""
    host, _, port = target.bootstrap.rpartition(":")
    request = MetadataRequest(topics=[], allow_auto_topic_creation=False)
    frame = b"".join(bytes(part) for part in request_frame(request, VERSION, 1, CLIENT_ID))  # type: ignore[arg-type]
    try:
        with socket.create_connection((host.strip("[]"), int(port)), target.timeout_s) as broker:
            broker.sendall(frame)
            with broker.makefile("rb") as answers:
                size = int.from_bytes(answers.read(4), "big")
                if not 0 < size <= MAX_RESPONSE_BYTES:
                    raise CommandError(f"no Kafka broker answers at {target.bootstrap}")
                _, response = read_response(MetadataResponse, VERSION, answers.read(size))
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(f"no broker answers at {target.bootstrap}: {reason}") from None
    except WireError:
        raise CommandError(f"no Kafka broker answers at {target.bootstrap}") from None
    return response.controller_id
