"""One real etcd for all tests of a process that want one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kbroker.cluster.etcd_process import EtcdCluster


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """A member of its own, in use from the first test that asks for it."""
    cluster = EtcdCluster(tmp_path_factory.mktemp("etcd"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
