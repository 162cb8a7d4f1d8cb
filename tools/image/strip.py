"""Cuts off what an ELF library keeps for debuggers: all that lies behind its last loaded byte.

    python3 strip.py FILE...

The loader of a shared library follows the program headers only; the table of sections, the names
and the debugging information behind them are for others, and are most of some wheels' weight. For
images whose base has no `strip`. What is no 64-bit little-endian ELF file is left as it is.
"""

import struct
import sys
from pathlib import Path

ELF64_LITTLE = b"\x7fELF\x02\x01"
HEADER = struct.Struct("<16xHHIQQQIHHHHHH")
"""From e_type on; the table of sections is named by e_shoff, e_shnum and e_shstrndx."""
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SECTIONS_AT = 40  # e_shoff
SECTION_COUNTS_AT = 60  # e_shnum, e_shstrndx


def stripped(data: bytes) -> bytes:
    """The file without what is not loaded, and without a table of sections."""
    if not data.startswith(ELF64_LITTLE) or len(data) < HEADER.size:
        return data
    fields = HEADER.unpack_from(data)
    table, size, count = fields[4], fields[8], fields[9]
    end = table + size * count
    for position in range(table, end, size):
        _, _, offset, _, _, file_size, *_ = PROGRAM_HEADER.unpack_from(data, position)
        end = max(end, offset + file_size)
    kept = bytearray(data[:end])
    struct.pack_into("<Q", kept, SECTIONS_AT, 0)
    struct.pack_into("<HH", kept, SECTION_COUNTS_AT, 0, 0)
    return bytes(kept)


def main() -> None:
    """Rewrites the files named on the command line."""
    for name in sys.argv[1:]:
        path = Path(name)
        data = path.read_bytes()
        kept = stripped(data)
        if kept != data:
            path.write_bytes(kept)


if __name__ == "__main__":
    main()
