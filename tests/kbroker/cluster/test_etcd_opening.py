"""A store is opened once etcd has answered; what will not do is told from what is not there yet."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kbroker.cluster.etcd_opening import open_etcd_store
from kbroker.cluster.metadata_store import StoreRefusedError, StoreUnavailableError
from kbroker.config.metadata_keys import MetadataUrl
from tests.kbroker.cluster.etcd_process import EtcdCluster, free_ports


def test_an_etcd_that_answers(etcd: EtcdCluster) -> None:
    async def main() -> None:
        store = await open_etcd_store(MetadataUrl(etcd.endpoints), allow_old=True)
        assert store.is_shared
        status = await store.status()
        assert status.revision >= 1
        assert str(etcd.endpoints[0]) in status.detail
        await store.close()

    asyncio.run(main())


def test_nobody_there_is_worth_asking_again() -> None:
    async def main() -> None:
        url = MetadataUrl((("127.0.0.1", free_ports(1)[0]),))
        with pytest.raises(StoreUnavailableError) as refusal:
            await open_etcd_store(url, timeout_ms=20)
        assert not isinstance(refusal.value, StoreRefusedError)
        assert "etcd at 127.0.0.1:" in refusal.value.detail

    asyncio.run(main())


def test_authorities_that_cannot_be_read_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    url = MetadataUrl((("127.0.0.1", 1),), has_tls=True)
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(StoreRefusedError, match=f"ca.file: .*{name}"):
            asyncio.run(open_etcd_store(url, ca_file=str(tmp_path / name)))
