"""Every decoder is a target, every kept input is replayed, and any bytes at all are judged."""

from __future__ import annotations

import ast
import contextlib
import re
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus, engine
from tests.fuzz.coverage_guided import MESSAGE
from tests.fuzz.mutation import MOST_BYTES, mutated
from tests.fuzz.targets import all_targets, matching

ROOT = Path(__file__).resolve().parent.parent.parent
DECODES = re.compile(
    r"(decode|read|parse|iterate|load|decompress|replay|finish_unsigned|skip|find_sound|validate"
    r"|only_batch|resolve|subscribed)(_|$)"
)
# Functions of such names that take no bytes from outside, and why.
OTHERWISE = {
    "log.file_system.read_at": "reads bytes, and looks at none",
    "log.file_system.read_at_nowait": "reads bytes, and looks at none",
    "log.file_system.read_file": "reads bytes, and looks at none",
    "log.index_file.read": "reads bytes, and looks at none; the indexes look",
    "log.scan.read_cached": "reads bytes, and looks at none",
    "log.checkpoint_writer.read_offsets": "a file for log.checkpoints.decode_offsets",
    "log.checkpoint_writer.read_or_reset": "a file for log.checkpoints.decode_offsets",
    "log.damaged_partitions.read": "a file for log.damaged_partitions.decode_damaged",
    "log.directory_owner.read_meta": "a file for log.checkpoints.decode_meta_properties",
    "log.flushed_ends.read": "a file for log.flushed_ends.decode_entries",
    "log.producer_state.replay": "headers of batches: the target partition_directory",
    "log.partition_log.read": "by offset: the target partition_directory",
    "log.reading.read_slice": "by offset: the target partition_directory",
    "wire.schema.parse_versions": "a constant of the source",
    "wire.records.file_slice.read_at": "reads bytes, and looks at none",
    "wire.records.file_slice.read_at_nowait": "reads bytes, and looks at none",
    "wire.primitives.decode_int32s": "of a length found right: every message",
    "wire.primitives.decode_int8s": "of a length found right: every message",
}
FEW = [name for name in all_targets() if MESSAGE not in name]


@cache
def decoders() -> list[str]:
    """Public functions and methods of the packages that read bytes, by such names."""
    found = []
    for package in ("wire", "log", "coordinator"):
        for path in sorted((ROOT / package).rglob("*.py")):
            module = str(path.relative_to(ROOT)).removesuffix(".py").replace("/", ".")
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef) and DECODES.match(node.name):
                    found.append(f"{module}.{node.name}")
    return found


def test_every_decoder_is_a_target() -> None:
    covered = {name for target in all_targets().values() for name in target.covers}
    missing = sorted(set(decoders()) - covered - OTHERWISE.keys())
    assert not missing, "in no target's `covers`"


def test_every_exception_is_one() -> None:
    assert set(OTHERWISE) <= set(decoders())


def test_corpus_belongs_to_targets_and_is_small() -> None:
    directories = {path.name for path in corpus.DIRECTORY.iterdir()}
    assert directories <= set(all_targets())
    files = [path for name in directories for path in corpus.stored(name)]
    assert sum(path.stat().st_size for path in files) < 1 << 20


@pytest.mark.parametrize("group", range(4))
def test_kept_inputs_and_a_few_new_ones(group: int) -> None:
    """As `python -m tests.fuzz decoders`, with a few inputs for each target."""
    tally = engine.Tally()
    for target in list(all_targets().values())[group::4]:
        engine.run_target(target, seed=0, inputs=8, tally=tally)
    assert not [f"{failure.command()}: {failure.error}" for failure in tally.failures]
    assert tally.inputs > 8 * len(all_targets()) // 4 - 8
    assert tally.accepted > 0


@settings(max_examples=60)
@given(st.sampled_from(FEW), st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(name: str, data: bytes) -> None:
    target = all_targets()[name]
    with contextlib.suppress(*target.allowed):
        target.check(data)


@pytest.mark.parametrize("name", sorted(all_targets())[::12])
def test_what_is_generated_is_taken(name: str) -> None:
    """Else only the outermost check of a decoder would ever be reached."""
    target = all_targets()[name]
    chance = Random(name)
    refusals = 0
    for _ in range(10):
        try:
            target.check(target.make(chance).data)
        except target.allowed:
            refusals += 1
    assert refusals < 10


def test_an_input_can_be_made_again_alone() -> None:
    target = all_targets()["records.none"]
    blocks = [list(engine.block_inputs(target, 7, block, [], engine.BLOCK)) for block in (0, 1)]
    both = [data for block in blocks for data in block]
    assert len(both) == 2 * engine.BLOCK
    assert engine.one_input(target, 7, 3) == both[3]


@given(st.integers(0, 1 << 30))
@settings(max_examples=30)
def test_mutation_is_a_function_of_its_seed(seed: int) -> None:
    make = all_targets()["MetadataRequest.v12"].make
    one, other = (
        mutated(make(chance), make(chance), chance) for chance in (Random(seed), Random(seed))
    )
    assert one == other
    assert len(one) <= MOST_BYTES


def test_targets_are_found_by_name() -> None:
    assert [target.name for target in matching("varint")] == ["varint"]
    assert len(matching("ProduceRequest.v*")) == 11
    assert len(matching(None)) == len(all_targets())
