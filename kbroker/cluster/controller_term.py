"""Being the controller: winning the office, and proving it with every change (rule 5).

Whoever creates the key `controller` is the controller until the key is gone; its create_revision
is the controller epoch. Every change compares it, so that a controller which has lost the office
without noticing changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from kbroker.cluster.keys import Keys
from kbroker.cluster.metadata_image import MetadataImage
from kbroker.cluster.metadata_records import (
    ControllerRecord,
    decode_controller,
    encode_controller,
)
from kbroker.cluster.metadata_store import (
    MAX_TRANSACTION_OPERATIONS,
    Compare,
    Delete,
    Get,
    KeyValue,
    MetadataStore,
    Operation,
    Put,
    TransactionResult,
    created_at,
    key_absent,
    modified_at,
)
from wire.errors import ErrorCode, KafkaError

logger = logging.getLogger(__name__)

BATCH_SIZE = MAX_TRANSACTION_OPERATIONS - 8
"""Keys changed in one transaction: leaves room for the term's own compare and a few others."""

MAX_ATTEMPTS = 100
"""Of one compare-and-swap loop. Each failure means that somebody else made progress."""


class ControllerTerm:
    """Mutable: `epoch` is 0 until the office is won, and again, for good, when it was found lost.

    What was begun in one term never goes on in another one: the next controller, even if it is
    this broker again, has cleared away what it found half done.
    """

    def __init__(self, store: MetadataStore, keys: Keys, node_id: int) -> None:
        self.store = store
        self.keys = keys
        self.node_id = node_id
        self.epoch = 0

    async def win(self, lease: int) -> bool:
        """Become the controller if nobody is. True: this broker is, in `self.epoch`."""
        value = encode_controller(ControllerRecord(self.node_id))
        key = self.keys.controller
        for _ in range(MAX_ATTEMPTS):
            result = await self.store.transact(
                [key_absent(key)], [Put(key, value, lease)], [Get(key)]
            )
            if result.succeeded:
                self.epoch = result.revision
                logger.info(
                    "broker %d is the controller, epoch %d",
                    self.node_id,
                    self.epoch,
                    extra={"node_id": self.node_id, "controller_epoch": self.epoch},
                )
                return True
            (holder,) = result.values
            assert holder is not None
            if decode_controller(holder.value).broker_id != self.node_id:
                return False
            if lease and holder.lease == lease:
                # An earlier attempt of this very life, whose outcome was not known.
                self.epoch = holder.create_revision
                return True
            if holder.lease:
                return False  # of an earlier life: it goes when its lease ends
            await self.remove_former_life(holder)
        raise KafkaError(ErrorCode.NOT_CONTROLLER, "the controller's key changes hands too often")

    async def remove_former_life(self, kv: KeyValue) -> None:
        """Delete this broker's own key of an earlier life, unless it has changed since.

        Only a key without a lease may be deleted so. It can exist only in a store that one
        process has for itself, and there the earlier life is over for certain. A key with a
        lease goes when the lease ends; until then somebody may be alive behind it.
        """
        if kv.lease:
            raise KafkaError(
                ErrorCode.DUPLICATE_BROKER_REGISTRATION,
                f"broker {self.node_id} is registered, and its lease has not ended",
            )
        await self.store.transact([modified_at(kv.key, kv.mod_revision)], [Delete(kv.key)])

    async def transact(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TransactionResult:
        """A transaction as the controller. KafkaError(NOT_CONTROLLER): not, or no longer."""
        if not self.epoch:
            raise KafkaError(ErrorCode.NOT_CONTROLLER, "this broker is not the controller")
        office = self.keys.controller
        result = await self.store.transact(
            [created_at(office, self.epoch), *compares], then, [Get(office), *otherwise]
        )
        if result.succeeded:
            return result
        holder, *values = result.values
        if holder is None or holder.create_revision != self.epoch:
            logger.warning("broker %d is no longer the controller", self.node_id)
            self.epoch = 0
            raise KafkaError(ErrorCode.NOT_CONTROLLER, "this broker is no longer the controller")
        return TransactionResult(False, result.revision, tuple(values))

    async def read_image(self) -> MetadataImage:
        """Everything, as of now: what a decision about the whole cluster starts from."""
        image = MetadataImage(self.keys)
        image.replace_with(await self.store.list(self.keys.prefix))
        return image
