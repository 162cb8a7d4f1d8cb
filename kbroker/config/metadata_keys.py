"""The keys about where cluster metadata are kept: in this broker's data, or in an etcd.

`kbroker.metadata` is "sqlite", or `etcd://HOST:PORT[,HOST:PORT...][/NAME]`, `etcds://` with TLS:
the members of one etcd cluster, of which some may be down, and the name of ours in it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kbroker.config.connection_values import parse_host_and_port
from kbroker.config.table import (
    ConfigTable,
    ConfigValue,
    Validator,
    at_least,
    boolean,
    integer,
    password,
    string,
)

SQLITE = "sqlite"
DEFAULT_CLUSTER = "kbroker"
ETCD_PORT = 2379

CLUSTER_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
"""As `kbroker.cluster.keys` has it, which commands do not know."""

_URL = re.compile(r"(?P<scheme>etcds?)://(?P<endpoints>[^/]*)(/(?P<cluster>.*))?")
_FORM = "expected sqlite or etcd://HOST:PORT[,HOST:PORT...][/NAME], etcds:// with TLS"


class MetadataUrl(NamedTuple):
    """An etcd. `endpoints`: hosts and ports, in the order in which they were given."""

    endpoints: tuple[tuple[str, int], ...]
    cluster: str = DEFAULT_CLUSTER
    has_tls: bool = False


def parse_metadata(text: str) -> MetadataUrl | None:
    """None: in SQLite. ValueError, in one line, where it is neither."""
    if text == SQLITE:
        return None
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError(_FORM)
    if "@" in found["endpoints"]:
        raise ValueError(
            "user and password are kbroker.metadata.etcd.user and kbroker.metadata.etcd.password"
        )
    endpoints = tuple(map(_endpoint, found["endpoints"].split(",")))
    if len(set(endpoints)) < len(endpoints):
        raise ValueError("an endpoint is there twice")
    cluster = found["cluster"] or DEFAULT_CLUSTER
    if not CLUSTER_NAME.fullmatch(cluster):
        raise ValueError(f"{cluster} is no name: letters, digits, dot, underscore and dash")
    return MetadataUrl(endpoints, cluster, found["scheme"] == "etcds")


def _endpoint(text: str) -> tuple[str, int]:
    try:
        host, port = parse_host_and_port(text.strip())
    except ValueError:
        raise ValueError(f"expected HOST:PORT, etcd's is usually {ETCD_PORT}") from None
    if port == 0 or not re.fullmatch(r"[0-9A-Za-z._:%-]+", host):
        raise ValueError(_FORM)
    return host, port


def _refusal(value: ConfigValue) -> str | None:
    try:
        parse_metadata(str(value))
    except ValueError as error:
        return str(error)
    return None


def _shown(value: ConfigValue) -> str:
    # Somebody may have written a password into it.
    return re.sub(r"//[^/]*@", "//...@", str(value))


METADATA = Validator("sqlite, or etcd://HOST:PORT,... or etcds://", _refusal, _shown)


class MetadataKeys(ConfigTable):
    """Where cluster metadata are, and how they are reached."""

    kbroker_metadata: str = string(
        "kbroker.metadata",
        default=SQLITE,
        valid=METADATA,
        doc="Where cluster metadata are kept. sqlite: in the data directory, for one broker."
        " etcd://HOST:PORT,HOST:PORT/NAME: in that etcd, for every broker that names the same;"
        " NAME, else kbroker, tells clusters in one etcd apart. etcds:// is with TLS.",
    )
    kbroker_metadata_etcd_user: str = string(
        "kbroker.metadata.etcd.user",
        default="",
        doc="The user that etcd knows this broker by; it reads and writes what is under"
        " /kbroker/NAME/. Since 3.6.9 etcd lets root alone compact: with another user, have etcd do"
        " it (--auto-compaction-retention). Empty: etcd is asked without one.",
    )
    kbroker_metadata_etcd_password: str = password(
        "kbroker.metadata.etcd.password",
        default="",
        doc="That user's password. Rather in a file or in the environment than in --set, which"
        " others may see.",
    )
    kbroker_metadata_etcd_ca_file: str | None = string(
        "kbroker.metadata.etcd.ca.file",
        default=None,
        doc="A PEM file of the authorities that certify etcd's members; where it is not set, the"
        " system's. Only with etcds://.",
    )
    kbroker_metadata_etcd_allow_old: bool = boolean(
        "kbroker.metadata.etcd.allow.old",
        default=False,
        doc="Whether an etcd before 3.5.28, 3.6.9 or 3.7.0 is used, which may lose data or events."
        " For tests.",
    )
    kbroker_metadata_etcd_timeout_ms: int = integer(
        "kbroker.metadata.etcd.timeout.ms",
        default=2000,
        valid=at_least(1),
        doc="How long one etcd member may take for an answer; then another one is asked.",
    )

    def metadata_url(self) -> MetadataUrl | None:
        """The etcd; None: metadata are in SQLite."""
        return parse_metadata(self.kbroker_metadata)
