"""Opens the store of an etcd that the configuration names, if there is one to be had.

Counterparts: `etcd_store.py`, and `kbroker/dependencies.py`, which imports this only where an etcd
is named.
"""

from __future__ import annotations

import ssl

from kbroker.cluster.etcd_gateway import Gateway, GatewayOptions
from kbroker.cluster.etcd_http import Endpoint
from kbroker.cluster.etcd_store import EtcdStore
from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_store import StoreRefusedError
from kbroker.config.metadata_keys import MetadataUrl


async def open_etcd_store(
    url: MetadataUrl,
    *,
    user: str = "",
    password: str = "",
    ca_file: str | None = None,
    allow_old: bool = False,
    timeout_ms: int = 2000,
) -> EtcdStore:
    """The store, once a member has answered.

    StoreRefusedError: what is configured will not do, now or later. Any other
    StoreUnavailableError: no member serves now; it is worth asking again.
    """
    gateway = Gateway(
        GatewayOptions(
            endpoints=tuple(Endpoint(*each) for each in url.endpoints),
            tls=_tls(ca_file) if url.has_tls else None,
            user=user,
            password=password,
            allow_old=allow_old,
            timeout_s=timeout_ms / 1000,
            home=Keys(url.cluster).prefix,
        )
    )
    store = EtcdStore(gateway)
    is_open = False
    try:
        await store.status()
        is_open = True
        return store
    finally:
        if not is_open:
            await store.close()


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise StoreRefusedError(
            f"kbroker.metadata.etcd.ca.file: {ca_file}: {error.strerror or error}"
        ) from None
