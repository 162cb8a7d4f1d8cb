"""`kbroker configs`: the settings of topics, brokers and groups.

Sent with kafka-python's requests rather than its admin methods, which drop the error of a resource
and refuse the defaults of all brokers (the broker called `default` here, as in Kafka's own tool).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

import click

from kbroker.cli.connection import CommandError, Target, explain_code, open_admin, remote, send
from kbroker.cli.lazy_commands import show_help_alone
from kbroker.cli.tables import show_json, show_table
from kbroker.cli.topic_names import describe_topics

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient
    from kafka.protocol.api_data import ApiData

TYPES = {"topic": 2, "broker": 4, "group": 32}
ALL_BROKERS = "default"
SET, DELETE = 0, 1
UNSUPPORTED_VERSION = 35
SOURCES = {
    1: "topic",
    2: "broker",
    3: "all brokers",
    4: "file",
    5: "default",
    6: "logger",
    8: "group",
}
CHANGED_BY = {"topic": {1}, "broker": {2, 3, 4}, "group": {8}}
"""Sources, by type of resource, of a value that somebody set there."""


class Setting(TypedDict):
    """One setting of a resource. `value` is None where it is secret or unset."""

    name: str
    value: str | None
    source: str
    read_only: bool
    sensitive: bool
    changed: bool
    documentation: str | None


def split_assignments(assignments: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` each; BadParameter."""
    found = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"expected KEY=VALUE, found {text!r}")
        found[key.strip()] = value.strip()
    return found


def changed_settings(
    admin: KafkaAdminClient, kind: str, names: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    """What was set at each of these resources itself: key and value."""
    return {
        name: {each["name"]: each["value"] for each in settings if each["changed"]}
        for name, settings in describe_settings(admin, kind, names).items()
    }


def describe_settings(
    admin: KafkaAdminClient, kind: str, names: Sequence[str], *, documented: bool = False
) -> dict[str, list[Setting]]:
    """All settings of each resource, by name. CommandError for one that does not exist."""
    from kafka.protocol.admin import DescribeConfigsRequest

    found = {}
    for node_id, group in _by_node(kind, names):
        request = DescribeConfigsRequest(
            resources=[(TYPES[kind], _wire_name(kind, name), None) for name in group],
            include_synonyms=False,
            include_documentation=documented,
        )
        for result in send(admin, request, node_id).results:
            if result.error_code:
                _refuse(kind, result.resource_name, result.error_code, result.error_message)
            found[result.resource_name or ALL_BROKERS] = sorted(
                (_setting(kind, entry) for entry in result.configs),
                key=lambda setting: setting["name"],
            )
    return found


def _setting(kind: str, entry: ApiData) -> Setting:
    values = entry.to_dict()
    source = int(values["config_source"])
    return Setting(
        name=str(values["name"]),
        value=None if values["value"] is None else str(values["value"]),
        source=SOURCES.get(source, str(source)),
        read_only=bool(values["read_only"]),
        sensitive=bool(values["is_sensitive"]),
        changed=source in CHANGED_BY[kind],
        documentation=values.get("documentation"),
    )


def _by_node(kind: str, names: Sequence[str]) -> list[tuple[int | None, list[str]]]:
    """Which broker to ask: a broker's own settings are known to itself alone."""
    if kind != "broker":
        return [(None, list(names))]
    return [(None if name == ALL_BROKERS else broker_id(name), [name]) for name in names]


def broker_id(name: str) -> int:
    if not name.isdecimal():
        raise CommandError(f"broker {name}: expected a broker's id, or {ALL_BROKERS} for all")
    return int(name)


def _wire_name(kind: str, name: str) -> str:
    return "" if kind == "broker" and name == ALL_BROKERS else name


def _refuse(kind: str, name: str, code: int, message: str | None) -> None:
    if kind == "topic" and code == 3:
        raise CommandError(f"there is no topic {name}")
    raise CommandError(f"{kind} {name or ALL_BROKERS}: {explain_code(code, message)}")


def change_settings(
    admin: KafkaAdminClient,
    kind: str,
    name: str,
    changes: Sequence[tuple[str, int, str | None]],
    *,
    only_check: bool,
) -> None:
    """Apply `(key, SET or DELETE, value)`, all or none. CommandError."""
    from kafka.protocol.admin import IncrementalAlterConfigsRequest

    ((node_id, _),) = _by_node(kind, [name])
    check_exists(admin, kind, name)
    request = IncrementalAlterConfigsRequest(
        resources=[(TYPES[kind], _wire_name(kind, name), list(changes))], validate_only=only_check
    )
    for response in send(admin, request, node_id).responses:
        if response.error_code:
            _refuse(kind, response.resource_name, response.error_code, response.error_message)


def check_exists(admin: KafkaAdminClient, kind: str, name: str) -> None:
    """CommandError for a broker that is not there. Topics are the broker's to judge; a group may
    be given settings before it has members."""
    if kind == "broker" and name != ALL_BROKERS:
        known = sorted(int(each["broker_id"]) for each in admin.describe_cluster()["brokers"])
        if broker_id(name) not in known:
            raise CommandError(f"there is no broker {name}; there is {', '.join(map(str, known))}")


@click.group("configs", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> int:
    """Settings of topics, brokers and groups."""
    return show_help_alone(context)


def complete_name(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of the type that stands before."""
    from kbroker.cli.completion import complete_group, complete_topic

    kind = context.params.get("kind")
    if kind == "broker":
        return [ALL_BROKERS] if ALL_BROKERS.startswith(incomplete) else []
    complete = complete_group if kind == "group" else complete_topic
    return complete(context, parameter, incomplete)


KIND = click.argument("kind", metavar="TYPE", type=click.Choice(list(TYPES)))
NAME = click.argument("name", metavar="NAME", shell_complete=complete_name)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Let the broker check it, change nothing.")


@command.command("list")
@click.option("--type", "kind", type=click.Choice(list(TYPES)), help="Only of this type.")
@AS_JSON
@remote
def list_settings(target: Target, *, kind: str | None, as_json: bool) -> int:
    """List every setting that was changed, of all topics, brokers and groups."""
    rows = []
    with open_admin(target) as admin:
        for each in TYPES if kind is None else (kind,):
            names = resource_names(admin, each)
            for name, changed in changed_settings(admin, each, names).items():
                rows += [(each, name, key, value) for key, value in changed.items()]
    if as_json:
        show_json([dict(zip(("type", "name", "key", "value"), row, strict=True)) for row in rows])
    else:
        show_table(("TYPE", "NAME", "KEY", "VALUE"), rows)
    return 0


def resource_names(admin: KafkaAdminClient, kind: str) -> list[str]:
    """All resources of a type that can have settings of their own."""
    if kind == "topic":
        return [topic["name"] for topic in describe_topics(admin, None)]
    if kind == "broker":
        return [str(each["broker_id"]) for each in admin.describe_cluster()["brokers"]]
    return groups_with_settings(admin)


def groups_with_settings(admin: KafkaAdminClient) -> list[str]:
    """None where the broker is of a release that cannot tell (KIP-1142)."""
    from kafka.errors import BrokerResponseError
    from kafka.protocol.admin import ListConfigResourcesRequest

    try:
        answer = send(admin, ListConfigResourcesRequest(resource_types=[TYPES["group"]]))
    except BrokerResponseError as error:
        if error.errno != UNSUPPORTED_VERSION:
            raise
        return []
    return sorted(str(each.resource_name) for each in answer.config_resources)


@command.command("describe")
@KIND
@NAME
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--all", "show_all", is_flag=True, help="Those that were not changed as well.")
@click.option("--docs", is_flag=True, help="With what each one means.")
@AS_JSON
@remote
def describe(
    target: Target,
    *,
    kind: str,
    name: str,
    keys: tuple[str, ...],
    show_all: bool,
    docs: bool,
    as_json: bool,
) -> int:
    """Show the settings of a topic, a broker (an id, or `default` for all) or a group.

    Without --all or KEY only those that were changed.
    """
    with open_admin(target) as admin:
        check_exists(admin, kind, name)
        settings = describe_settings(admin, kind, [name], documented=docs).get(name, [])
    unknown = sorted(set(keys) - {each["name"] for each in settings})
    if unknown:
        raise CommandError(f"a {kind} has no setting {', '.join(unknown)}")
    shown = [
        each for each in settings if (each["name"] in keys if keys else show_all or each["changed"])
    ]
    if as_json:
        show_json(shown)
        return 0
    columns = ("KEY", "VALUE", "SOURCE", "READ-ONLY", *(("MEANING",) if docs else ()))
    show_table(
        columns,
        [
            (
                each["name"],
                "(secret)" if each["sensitive"] else each["value"],
                each["source"],
                each["read_only"],
                *((each["documentation"],) if docs else ()),
            )
            for each in shown
        ],
    )
    return 0


@command.command("set")
@KIND
@NAME
@click.argument("assignments", metavar="KEY=VALUE...", nargs=-1, required=True)
@DRY_RUN
@remote
def set_values(
    target: Target, *, kind: str, name: str, assignments: tuple[str, ...], dry_run: bool
) -> int:
    """Change settings, all or none of them."""
    values = split_assignments(assignments)
    changes = [(key, SET, value) for key, value in values.items()]
    with open_admin(target) as admin:
        change_settings(admin, kind, name, changes, only_check=dry_run)
    for key, value in values.items():
        click.echo(f"{'would set' if dry_run else 'set'} {key}={value} for {kind} {name}")
    return 0


@command.command("delete")
@KIND
@NAME
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@DRY_RUN
@remote
def delete(target: Target, *, kind: str, name: str, keys: tuple[str, ...], dry_run: bool) -> int:
    """Take settings back, so that the default holds again."""
    changes = [(key, DELETE, None) for key in dict.fromkeys(keys)]
    with open_admin(target) as admin:
        change_settings(admin, kind, name, changes, only_check=dry_run)
    for key in dict.fromkeys(keys):
        click.echo(f"{'would delete' if dry_run else 'deleted'} {key} of {kind} {name}")
    return 0
