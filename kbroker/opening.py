"""What a broker opens before anything else: its data directory, and the cluster's metadata.

They belong together, and which comes first depends on where the metadata lie. Counterpart:
`broker`, which starts on what was opened, and closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import TypeVar

from kbroker.cluster.controller import Controller
from kbroker.cluster.metadata_store import (
    MetadataStore,
    MetadataStoreError,
    StoreRefusedError,
)
from kbroker.cluster.store_history import SEEN_FILE, SeenFile, StoreHistory
from kbroker.cluster.topic_ids import random_id, topic_id_text
from kbroker.config.broker_config import BrokerConfig
from kbroker.config.metadata_keys import DEFAULT_CLUSTER
from kbroker.dependencies import Dependencies
from kbroker.live_configs import topic_defaults
from kbroker.metadata_home import find_mismatch
from log.log_directory import LogDirectory, LogDirectoryError

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

STORE_RETRY_S = 1.0
"""After which a metadata store is asked again that cannot be reached."""


class StartError(Exception):
    """The broker cannot start; the message is one line for the person who started it."""


class Opening:
    """Mutable: `directory` and `store` are there as soon as they are open, also where what came
    after them failed."""

    def __init__(self, config: BrokerConfig, dependencies: Dependencies) -> None:
        self.directory: LogDirectory | None = None
        self.store: MetadataStore | None = None
        self.history: StoreHistory | None = None
        self.cluster_id = ""
        self._config = config
        self._dependencies = dependencies

    async def open(self, path: str, *, stopped: asyncio.Event) -> Controller:
        """Open both; the controller is on the store. StartError, KafkaError, OSError.

        The directory comes first where the metadata lie in it; where brokers share them, they say
        whose it has to be, and are waited for until somebody has `stopped` the broker.
        """
        is_shared = self._config.metadata_url() is not None
        mismatch = find_mismatch(self._dependencies.file_system, path, is_shared=is_shared)
        if mismatch is not None:
            raise StartError(mismatch)
        if is_shared:
            controller = await self.patiently(lambda: self._open_store(path), stopped=stopped)
            cluster = await self.patiently(controller.create_cluster, stopped=stopped)
            directory = self._open_directory(path, cluster.cluster_id)
            self.history = self._make_history(controller, path)
            await self.patiently(self.history.check, stopped=stopped)
        else:
            directory = self._open_directory(path, None)
            controller = await self._open_store(path)
            cluster = await controller.create_cluster(cluster_id=directory.cluster_id)
            if cluster.cluster_id != directory.cluster_id:
                raise StartError(
                    f"{directory.path} belongs to cluster {directory.cluster_id}, "
                    f"its metadata to {cluster.cluster_id}"
                )
        assert self.store is not None
        self.store.on_full = directory.checkpoints.lend_reserve
        self.cluster_id = cluster.cluster_id
        return controller

    async def patiently(
        self, ask: Callable[[], Coroutine[None, None, ResultT]], *, stopped: asyncio.Event
    ) -> ResultT:
        """What the store says; one that brokers share is waited for however long it takes, and
        nothing is served meanwhile. StartError, MetadataStoreError."""
        if self._config.metadata_url() is None:
            return await ask()
        told = False
        while not stopped.is_set():
            try:
                return await ask()
            except StoreRefusedError:
                raise
            except MetadataStoreError as error:
                if not told:
                    logger.warning("waiting for the metadata store: %s", error.detail)
                told = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STORE_RETRY_S):
                    await stopped.wait()
        raise StartError("stopped before the metadata store could be reached")

    async def _open_store(self, path: str) -> Controller:
        config = self._config
        self.store = await self._dependencies.open_store(f"{path}/metadata.sqlite")
        url = config.metadata_url()
        return Controller(
            self.store,
            DEFAULT_CLUSTER if url is None else url.cluster,
            config.node_id,
            self._dependencies.random,
            defaults=topic_defaults(config),
        )

    def _make_history(self, controller: Controller, path: str) -> StoreHistory:
        file = SeenFile(self._dependencies.file_system, f"{path}/{SEEN_FILE}")
        return StoreHistory(controller.store, controller.keys, file)

    def _open_directory(self, path: str, cluster_id: str | None) -> LogDirectory:
        chance = self._dependencies.random
        try:
            self.directory = LogDirectory.open(
                self._dependencies.file_system,
                path,
                node_id=self._config.node_id,
                cluster_id=cluster_id,
                new_cluster_id=topic_id_text(random_id(chance)),
                new_directory_id=random_id(chance),
            )
        except LogDirectoryError as error:
            raise StartError(str(error)) from None
        return self.directory
