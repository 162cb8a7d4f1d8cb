"""The library's function without the library's package."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from wire.records.checksum import crc32c


def test_the_known_answer():
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720's polynomial, the usual check value


@given(st.binary(max_size=200))
def test_as_the_library_says(data: bytes):
    import crc32c as library

    assert crc32c(data) == library.crc32c(data)
    assert crc32c(memoryview(bytearray(data))) == library.crc32c(data)


def test_a_broker_imports_neither_the_package_nor_what_it_needs():
    code = (
        "import sys, kbroker.__main__, kbroker.process\n"
        "print(*{'crc32c', 'importlib.metadata', 'email', 'zipfile', 'argparse'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
