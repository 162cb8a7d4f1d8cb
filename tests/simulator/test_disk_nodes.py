"""The life of one file: any mix of writes, cuts and flushes, then a power loss."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from simulator.disk_nodes import FileNode, Truncate, Write

steps = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=1200).map(lambda data: ("append", data)),
        st.integers(0, 100).map(lambda percent: ("truncate", percent)),
        st.just(("flush", 0)),
    ),
    max_size=12,
)


@given(steps=steps, seed=st.integers(0, 1 << 32))
def test_flushed_content_survives_and_the_rest_only_adds_what_was_written(
    steps: list[tuple[str, bytes | int]], seed: int
) -> None:
    node, model = FileNode(), bytearray()
    durable, least = b"", 0
    for _, (kind, value) in enumerate(steps):
        if kind == "append":
            assert isinstance(value, bytes)
            node.change(Write(len(model), value), now_ms=0)
            model += value
        elif kind == "truncate":
            assert isinstance(value, int)
            del model[len(model) * value // 100 :]
            node.change(Truncate(len(model)), now_ms=0)
            least = min(least, len(model))
        else:
            node.flush()
            durable, least = bytes(model), len(model)
        assert node.content == model
        assert node.durable == durable
    survivor = node.survive(random.Random(seed))
    # Bytes that were flushed and since then neither cut nor overwritten are there.
    assert survivor.content[:least] == durable[:least]
    assert survivor.content == survivor.durable
    assert not survivor.pending
