"""InitProducerId (key 22): a producer id, for idempotence or a transactional id.

v6 (KIP-939) is declared, but unstable in Kafka 4.3 and served by neither.
"""

from __future__ import annotations

from wire.api_key import ApiKey
from wire.schema import (
    Request,
    Response,
    boolean,
    int16,
    int32,
    int64,
    string,
)


class InitProducerIdRequest(
    Request, api_key=ApiKey.INIT_PRODUCER_ID, versions="0-6", flexible="2+"
):
    """A producer id, or the next epoch of one."""

    transactional_id: str | None = string(nullable="0+")
    transaction_timeout_ms: int = int32()
    producer_id: int = int64("3+", default=-1)
    producer_epoch: int = int16("3+", default=-1)
    enable2_pc: bool = boolean("6+", default=False)
    keep_prepared_txn: bool = boolean("6+", default=False)


class InitProducerIdResponse(
    Response, api_key=ApiKey.INIT_PRODUCER_ID, versions="0-6", flexible="2+"
):
    """The producer id and epoch to write with."""

    throttle_time_ms: int = int32(default=0)
    error_code: int = int16()
    producer_id: int = int64(default=-1)
    producer_epoch: int = int16()
    ongoing_txn_producer_id: int = int64("6+", default=-1)
    ongoing_txn_producer_epoch: int = int16("6+", default=-1)
