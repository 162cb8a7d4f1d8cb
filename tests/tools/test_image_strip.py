"""A library that was cut is still loaded, and does what it did."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from tools.image.strip import stripped


def test_a_library_without_its_debugging_information_still_works(tmp_path: Path):
    package = importlib.util.find_spec("zstandard")
    assert package is not None
    assert package.origin is not None
    [library] = Path(package.origin).parent.glob("backend_c.*.so")
    whole = library.read_bytes()
    kept = stripped(whole)
    assert len(kept) < len(whole)
    assert stripped(kept) == kept
    (tmp_path / library.name).write_bytes(kept)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import backend_c as z\n"
        "print(z.ZstdDecompressor().decompress(z.ZstdCompressor().compress(b'as before')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "b'as before'\n"


def test_what_is_no_library_is_left_alone():
    for data in (b"", b"\x7fELF", b"\x7fELF\x02\x01", b"#!/bin/sh\n" * 20, b"\x7fELF\x01\x01" * 20):
        assert stripped(data) == data
