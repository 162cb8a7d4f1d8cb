"""The generator and the floor speak the same versions, in every mode of both."""

from __future__ import annotations

import pathlib
import shutil

import pytest

from bench import generator, targets

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")


@needs_compiler
@pytest.mark.parametrize("is_flushed", [False, True])
@pytest.mark.parametrize("read", ["pread", "sendfile"])
def test_what_is_produced_is_fetched(tmp_path: pathlib.Path, is_flushed: bool, read: str) -> None:
    generator.build()
    floor = targets.floor(loop="asyncio", read=read)
    with targets.running(floor, str(tmp_path), is_flushed=is_flushed, core=None) as broker:
        generator.create_topic(broker.address, "t", partitions=2)

        def measure(kind: str, *arguments: str) -> generator.Sample:
            return generator.measure(
                kind,
                broker.address,
                "t",
                *arguments,
                seconds=20,
                warmup_seconds=0,
                broker_pid=broker.pid,
            )

        shape = ("--records-per-batch=7", "--depth=5", "--partitions=2", "--connections=2")
        produced = measure("produce", *shape, "--max-requests=100")
        assert (produced["requests"], produced["errors"]) == (100, 0)
        assert produced["p50_us"] <= produced["p99_us"] <= produced["p999_us"]

        fetched = measure("fetch", "--max-bytes=4096", "--depth=3", "--max-requests=50")
        assert (fetched["requests"], fetched["errors"]) == (50, 0)
        assert 0 < fetched["payload_bytes"] <= 4096


@needs_compiler
def test_an_empty_topic_cannot_be_fetched(tmp_path: pathlib.Path) -> None:
    generator.build()
    floor = targets.floor(loop="asyncio", read="pread")
    with (
        targets.running(floor, str(tmp_path), is_flushed=False, core=None) as broker,
        pytest.raises(generator.GeneratorError, match="topic t is empty"),
    ):
        generator.run("fetch", broker.address, "t")


def test_without_a_compiler_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(generator, "PROGRAM", str(tmp_path / "wireload"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(generator.GeneratorError, match="needs a C compiler"):
        generator.build()
