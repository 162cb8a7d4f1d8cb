"""What the broker says when it is ready: where it is, what it promises, and what to type next."""

from __future__ import annotations

from kbroker.config.broker_config import BrokerConfig
from kbroker.server import Server


def ready_text(
    config: BrokerConfig,
    server: Server,
    *,
    cluster_id: str,
    data: str,
    http: tuple[str, int] | None,
) -> str:
    """The first line is for programs as well: `kbroker is ready on HOST:PORT`."""
    addresses = [
        f"{_host(host)}:{port}" + ("" if len(server.bound) == 1 else f" ({listener.name})")
        for listener, host, port in server.bound
    ]
    first = addresses[0].split(" ")[0]
    if config.log_flush_interval_messages == 1:
        durability = "an acknowledged record is on the disk (fsync before every answer)"
    else:
        durability = "page cache: a power loss may lose acknowledged records"
    return "\n".join(
        (
            f"kbroker is ready on {', '.join(addresses)}",
            f"  cluster     {cluster_id}, node {config.node_id}",
            f"  data        {data}",
            f"  durability  {durability}",
            *([] if http is None else [f"  http        http://{_host(http[0])}:{http[1]}/metrics"]),
            f"  kcat        echo hello | kcat -b {first} -P -t greetings"
            f" && kcat -b {first} -C -t greetings -e",
            f"  python      KafkaProducer(bootstrap_servers={first!r})"
            ".send('greetings', b'hello').get()",
        )
    )


def _host(host: str) -> str:
    """As a client on this machine would type it."""
    if host in ("", "0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
