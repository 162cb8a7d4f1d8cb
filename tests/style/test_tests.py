"""The rules about tests: a twin for each module with logic, no sleeps, no mocks, no wall clock."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

Finding = tuple[int, str]

ROOT = Path(__file__).resolve().parent.parent.parent

CONFORMANCE = "tests/kbroker/cluster/test_metadata_store_conformance.py"
CODEC = "tests/wire/test_compiler.py"
METRICS = "tests/kbroker/observability/test_metrics.py"
COMMANDS = "tests/process/test_cli.py"
LOCAL_CLUSTER = "tests/process/test_local_cluster.py"
MIGRATION = "tests/process/test_metadata_migration.py"
# Modules without a twin of their own: where they are tested, by path or by folder.
TESTED_ELSEWHERE = {
    "wire/messages/": "tests/wire/messages/test_differential.py",
    "kbroker/config/log_keys.py": "tests/kbroker/config/test_broker_config.py",
    "kbroker/config/coordinator_keys.py": "tests/kbroker/config/test_broker_config.py",
    "simulator/disk_file.py": "tests/simulator/test_disk.py",
    "simulator/disk_faults/__main__.py": "tests/simulator/disk_faults/test_experiment.py",
    "simulator/disk_faults/expected.py": "tests/simulator/disk_faults/test_experiment.py",
    "simulator/disk_faults/kinds.py": "tests/simulator/disk_faults/test_experiment.py",
    "simulator/disk_faults/outcomes.py": "tests/simulator/disk_faults/test_experiment.py",
    "simulator/disk_faults/requests.py": "tests/simulator/disk_faults/test_experiment.py",
    "simulator/disk_faults/scene.py": "tests/simulator/disk_faults/test_experiment.py",
    "simulator/disk_faults/tampering.py": "tests/simulator/disk_faults/test_faults.py",
    "simulator/disk_faults/usage.py": "tests/simulator/disk_faults/test_experiment.py",
    "kbroker/version.py": "tests/kbroker/test_main.py",
    "kbroker/observability/metric_names.py": METRICS,
    "kbroker/observability/monitoring.py": METRICS,
    "kbroker/observability/totals.py": METRICS,
    "kbroker/metadata_migration.py": MIGRATION,
    "kbroker/process.py": "tests/kbroker/test_start_and_stop.py",
    "kbroker/ready.py": "tests/kbroker/test_start_and_stop.py",
    "kbroker/handlers/": "tests/exchanges/test_replay.py",
    "kbroker/cli/cluster.py": LOCAL_CLUSTER,
    "kbroker/cli/cluster_up.py": LOCAL_CLUSTER,
    "kbroker/cli/completion.py": COMMANDS,
    "kbroker/cli/connection.py": COMMANDS,
    "kbroker/cli/consume.py": COMMANDS,
    "kbroker/cli/group_listing.py": COMMANDS,
    "kbroker/cli/group_offsets.py": COMMANDS,
    "kbroker/cli/groups.py": COMMANDS,
    "kbroker/cli/metadata.py": MIGRATION,
    "kbroker/cli/offsets.py": COMMANDS,
    "kbroker/cli/topics.py": COMMANDS,
    "kbroker/cluster/broker_admission.py": "tests/kbroker/cluster/test_controller.py",
    "kbroker/cluster/controller_term.py": "tests/kbroker/cluster/test_controller.py",
    "kbroker/cluster/topic_changes.py": "tests/kbroker/cluster/test_controller.py",
    "kbroker/cluster/topic_creation.py": "tests/kbroker/cluster/test_controller.py",
    "kbroker/cluster/etcd_errors.py": "tests/kbroker/cluster/test_etcd_gateway.py",
    "kbroker/cluster/etcd_http.py": "tests/kbroker/cluster/test_etcd_gateway.py",
    "kbroker/cluster/metadata_store.py": CONFORMANCE,
    "kbroker/cluster/memory_store.py": CONFORMANCE,
    "kbroker/cluster/revisioned_map.py": CONFORMANCE,
    "kbroker/cluster/sqlite.py": CONFORMANCE,
    "simulator/faults/brokers.py": "tests/simulator/test_cluster_run.py",
    "simulator/faults/cluster_nemesis.py": "tests/simulator/test_cluster_run.py",
    "simulator/faults/store.py": "tests/simulator/test_cluster_run.py",
    "simulator/world.py": "tests/simulator/test_run.py",
    "simulator/workload/membership.py": "tests/simulator/workload/test_group_members.py",
    "simulator/workload/reading.py": "tests/simulator/workload/test_readers.py",
    "wire/decoder_source.py": CODEC,
    "wire/encoder_source.py": CODEC,
    "wire/primitives.py": CODEC,
    "wire/schema.py": CODEC,
    "wire/source.py": CODEC,
    "wire/versioned.py": CODEC,
}


def twin_of(path: str) -> str:
    """tests/log/test_segment.py for log/segment.py; tests/kbroker/test_main.py for __main__."""
    folder, _, name = path.rpartition("/")
    return f"tests/{folder}/test_{name.removesuffix('.py').strip('_')}.py"


def has_logic(module) -> bool:
    """Whether there is any function with a body, or anything at all outside a package's table."""
    if module.path.endswith("__init__.py"):
        return False
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_stub(node)
        for node in ast.walk(module.tree)
    )


def _is_stub(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return all(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for node in function.body
    )


def no_twin(module) -> Iterator[Finding]:
    """Rule 37: every module with logic has its twin test file."""
    elsewhere = [
        test
        for place, test in TESTED_ELSEWHERE.items()
        if module.path == place or (place.endswith("/") and module.path.startswith(place))
    ]
    tests = elsewhere or [twin_of(module.path)]
    if has_logic(module) and not any((ROOT / test).exists() for test in tests):
        yield 1, f"has no {tests[0]}"


def test_every_module_with_logic_has_its_twin(product, obey) -> None:
    obey(no_twin, product)


def test_what_is_tested_elsewhere_exists() -> None:
    for place, test in TESTED_ELSEWHERE.items():
        assert (ROOT / place).exists(), f"{place}, an exception of the rule, is gone"
        assert (ROOT / test).exists(), f"{test} is to test {place}"


def waits_or_pretends(module) -> Iterator[Finding]:
    """Rules 37 and 41. `asyncio.sleep(0)` only lets others run."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yields = name == "asyncio.sleep" and ast.unparse(node.args[0]) == "0"
            if name == "asyncio.sleep" and module.path.startswith("tests/simulator/"):
                continue  # virtual time
            if name.endswith("sleep") and not yields:
                yield node.lineno, f"{name}() waits for time to pass"
            if name in ("time.time", "time.monotonic", "time.perf_counter"):
                yield node.lineno, f"{name}() reads the wall clock"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if "mock" in names or (isinstance(node, ast.ImportFrom) and node.module == "unittest"):
                yield node.lineno, "imports mocks"


def test_tests_neither_wait_nor_pretend(everything, obey) -> None:
    obey(waits_or_pretends, [module for module in everything if is_a_test(module)])


PROGRAMS = ("tests/fuzz", "tests/soak", "tests/chaos")


def is_a_test(module) -> bool:
    """The fuzzer, the soak and chaos are programs, which run for as long as they are told to; their
    own tests are tests."""
    folder, _, name = module.path.rpartition("/")
    is_program = folder in PROGRAMS and not name.startswith("test_")
    return module.package == "tests" and not is_program


@pytest.mark.parametrize(
    "text",
    ["time.sleep(1)", "asyncio.sleep(0.1)", "time.monotonic()", "from unittest import mock"],
)
def test_a_rule_finds_what_it_is_about(text: str, sample) -> None:
    assert list(waits_or_pretends(sample("tests/x.py", text)))


def test_programs_among_the_tests_may_wait(sample) -> None:
    assert is_a_test(sample("tests/log/test_segment.py", ""))
    assert is_a_test(sample("tests/soak/test_disk_tree.py", ""))
    assert not is_a_test(sample("tests/soak/faults.py", ""))
    assert not is_a_test(sample("bench/x.py", ""))


def test_letting_others_run_is_not_waiting(sample) -> None:
    assert not list(waits_or_pretends(sample("tests/x.py", "asyncio.sleep(0)")))
    assert not list(waits_or_pretends(sample("tests/simulator/x.py", "asyncio.sleep(1)")))
    assert list(waits_or_pretends(sample("tests/simulator/x.py", "time.sleep(1)")))


def test_twins(sample) -> None:
    assert twin_of("log/segment.py") == "tests/log/test_segment.py"
    assert twin_of("kbroker/__main__.py") == "tests/kbroker/test_main.py"
    assert has_logic(sample("log/x.py", "def f(): return 1"))
    assert not has_logic(sample("log/x.py", "class P:\n    def f(self): ..."))
    assert not has_logic(sample("log/x.py", "class C:\n    a: int = 1"))
