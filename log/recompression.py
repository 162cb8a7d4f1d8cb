"""Give a batch the codec that its topic asks for (`compression.type`).

Counterpart: `log.validation` decides when. The records are not looked into, only packed anew: what
Kafka also does here, it checks each of them, is left out as everywhere (see `log.validation`).
All of this may run in a thread: it touches the batch alone, and releases the GIL in the codecs.
"""

from __future__ import annotations

from typing import NamedTuple

from log.log_config import LogConfig, TargetCompression
from wire.errors import ErrorCode, KafkaError, WireError
from wire.records.batch import crc_is_valid, recompressed
from wire.records.batch_header import COMPRESSION_MASK, CONTROL_BIT, BatchHeader, read_header
from wire.records.compression import Compression, ExpandsTooFarError

MAX_DECOMPRESSED_BYTES = 64 << 20
"""How far a batch may expand while it is packed anew, unless its topic takes larger ones yet."""


class PreparedBatch(NamedTuple):
    """What a thread found out about a batch before it is judged."""

    crc_is_valid: bool
    recompressed: memoryview | KafkaError | None
    """The batch in its topic's codec, or why it has none; None where it need not change."""


def is_to_be_recompressed(attributes: int, config: LogConfig) -> bool:
    """Whether the topic wants another codec than these attributes of a batch have.

    Control batches stay as they are, and so does a codec that does not exist: it is refused.
    """
    target = config.compression
    if target is None or attributes & CONTROL_BIT:
        return False
    codec = attributes & COMPRESSION_MASK
    return codec != target.codec and codec <= Compression.ZSTD


def prepare(batch: memoryview, config: LogConfig) -> PreparedBatch:
    """Do for the one batch of a partition's payload what takes long, before it is appended.

    Never raises: what is wrong with a batch is found again, and answered, when it is validated.
    """
    try:
        header = read_header(batch)
        if not crc_is_valid(batch, 0, header):
            return PreparedBatch(False, None)
        if not is_to_be_recompressed(header.attributes, config):
            return PreparedBatch(True, None)
        if header.size_bytes > config.max_message_bytes:
            return PreparedBatch(True, None)
        return PreparedBatch(True, recompress(batch, header, config))
    except KafkaError as error:
        return PreparedBatch(True, error)
    except WireError:
        return PreparedBatch(False, None)


def recompress(batch: memoryview, header: BatchHeader, config: LogConfig) -> memoryview:
    """The batch in its topic's codec, in memory of its own.

    KafkaError: MESSAGE_TOO_LARGE where it expands too far, UNKNOWN_SERVER_ERROR (as in Kafka, which
    trips over an exception) where its records are not what its codec makes.
    """
    target = config.compression
    assert target is not None
    try:
        new = recompressed(
            batch,
            header,
            target.codec,
            level=target.level,
            max_decompressed_bytes=_max_decompressed_bytes(target, config),
        )
    except ExpandsTooFarError as error:
        raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, str(error)) from None
    except WireError as error:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, str(error)) from None
    return memoryview(new)


def _max_decompressed_bytes(target: TargetCompression, config: LogConfig) -> int:
    if target.codec is Compression.NONE:
        return config.max_message_bytes  # beyond it the batch would be refused anyway
    return max(MAX_DECOMPRESSED_BYTES, config.max_message_bytes)
