"""What a broker tells the others of itself (pure, but for asking the sockets where they are)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbroker.cluster.metadata_records import BrokerRegistration, ListenerRecord
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.listeners import Listeners
from log.log_directory import LogDirectory

if TYPE_CHECKING:
    from kbroker.server import Server


def registration_of(
    config: BrokerConfig, server: Server, directory: LogDirectory, incarnation: bytes
) -> BrokerRegistration:
    """Of this start, once the sockets are bound and it is known how the last one ended."""
    return BrokerRegistration(
        broker_id=config.node_id,
        incarnation=incarnation,
        log_directories=(directory.directory_id,),
        listeners=advertised_listeners(config.parsed_listeners(), server),
        rack=config.broker_rack,
        clean=directory.was_clean,
    )


def advertised_listeners(listeners: Listeners, server: Server) -> tuple[ListenerRecord, ...]:
    """Where others find this broker: what is advertised, else what the sockets are bound to."""
    records = []
    for listener, host, port in server.bound:
        address = listeners.advertised_for(listener.name)
        if address is not None:
            host, port = address.host, address.port or port
        records.append(ListenerRecord(listener.name, host, port, listener.security_protocol))
    return tuple(records)
