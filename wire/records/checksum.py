"""CRC-32C, which guards batches and snapshots: the compiled part of the library `crc32c`, alone.

To know its own version the library's package imports importlib.metadata, and with it email,
zipfile and argparse: a tenth of a broker's start, and 3 MB of its memory.
"""

import importlib
import importlib.util
from collections.abc import Callable
from importlib.machinery import PathFinder

Buffer = bytes | bytearray | memoryview


def _function() -> Callable[[Buffer], int]:
    package = importlib.util.find_spec("crc32c")  # found, not imported
    places = None if package is None else package.submodule_search_locations
    spec = None if places is None else PathFinder.find_spec("_crc32c", list(places))
    if spec is None or spec.loader is None:  # a version of the library that is built otherwise
        return importlib.import_module("crc32c").crc32c  # type: ignore[no-any-return]
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.crc32c  # type: ignore[no-any-return]


crc32c = _function()
"""The checksum of some bytes. It lets other threads run while it works at a long buffer."""
