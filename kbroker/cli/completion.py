"""Completion of names in the shell, asked of the broker; silent where none answers."""

from __future__ import annotations

import click

from kbroker.cli.connection import (
    BOOTSTRAP_VARIABLE,
    DEFAULT_BOOTSTRAP,
    CommandError,
    Target,
    open_admin,
)

PATIENCE_S = 1.0
"""Somebody waits at a prompt."""


def complete_topic(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """The topics that begin so, but for those on the line already."""
    return matching(complete_names(context, "topics"), incomplete, _present(context, parameter))


def complete_group(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """The groups that begin so, but for those on the line already."""
    return matching(complete_names(context, "groups"), incomplete, _present(context, parameter))


def matching(names: list[str], incomplete: str, present: tuple[str, ...]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete) and name not in present)


def _present(context: click.Context, parameter: click.Parameter) -> tuple[str, ...]:
    value = context.params.get(parameter.name or "")
    return value if isinstance(value, tuple) else ()


def complete_names(context: click.Context, kind: str) -> list[str]:
    """All topics or groups of the broker that the line, or the environment, names."""
    import os

    from kafka.errors import KafkaError

    given = context.params.get("bootstrap") or os.environ.get(BOOTSTRAP_VARIABLE)
    target = Target(str(given or DEFAULT_BOOTSTRAP), PATIENCE_S)
    try:
        with open_admin(target) as admin:
            if kind == "topics":
                return [str(name) for name in admin.list_topics()]
            return [str(group["group_id"]) for group in admin.list_groups()]
    except (CommandError, KafkaError, OSError):
        return []
