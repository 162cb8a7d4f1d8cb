"""The rules about seams: where time, chance, files, threads and tasks come in, and nowhere else.

The tables are the architecture: a name, and the modules in which alone it may be used.
"""

import ast
from collections.abc import Callable, Iterator

import pytest

Finding = tuple[int, str]

# Modules of Python that only the adapters may import (or that nothing may: an empty set).
IMPORTS = {
    # Commands wait for a broker's answers; no decision of the broker's own.
    "time": {"kbroker/dependencies.py", "kbroker/cli/connection.py"},
    "uuid": set(),
    "secrets": set(),
    # In log/ only for locks around what a flush or a checkpoint writes in a thread.
    "threading": {"kbroker/flusher.py", "log/checkpoint_writer.py", "log/flushing.py"},
    "concurrent.futures": {
        "kbroker/cluster/sqlite.py",
        "kbroker/cluster/memory_store.py",
        "kbroker/replication/replica_manager.py",  # closing the logs, when nothing else runs
    },
    "multiprocessing": set(),
    "subprocess": set(),
    "socket": {"kbroker/cli/health.py"},
    "ssl": set(),
    "sqlite3": {"kbroker/cluster/sqlite.py"},
    "fcntl": {"log/file_system.py"},
    "resource": {"kbroker/dependencies.py"},
    "unittest.mock": set(),
}
# Calls that have one home each.
CALLS = {
    "open": {"kbroker/__main__.py", "kbroker/cli/health.py"},
    # In tables.py it is rich's, into a string.
    "print": {"kbroker/process.py", "kbroker/cli/tables.py"},
    "asyncio.create_task": {"kbroker/tasks.py"},
    "asyncio.ensure_future": set(),
    "asyncio.run": {"kbroker/process.py"},
    "os.urandom": {"kbroker/dependencies.py"},
    "os.open": {"log/file_system.py"},
    "os.fsync": {"log/file_system.py"},
    "os.fdatasync": {"log/file_system.py"},
    "datetime.now": set(),
}
# `watch` hands what a callback of ours raises to dispatch, which makes a code of it.
CATCH_ALL = {"kbroker/dispatch.py", "kbroker/tasks.py", "kbroker/watch.py"}
# A transaction is rolled back for every exception, and every exception is raised again.
CATCH_ALL_AND_RAISE = {"kbroker/cluster/sqlite.py"}
ANY_TYPE = {"wire/schema.py", "wire/compiler.py"}
# Decisions: no clock, no chance, no loop.
PURE = {
    "kbroker/replication/partition.py",
    "kbroker/replication/isr.py",
    "kbroker/replication/fetch_session.py",
    "kbroker/cluster/metadata_image.py",
    "kbroker/cluster/placement.py",
    "log/retention.py",
    "simulator/commit_history.py",
    "simulator/history.py",
}
IMPURE_IMPORTS = ("asyncio", "time", "random", "socket", "threading", "os")
OURS = ("kbroker", "wire", "log", "coordinator", "simulator")


def imported(module) -> Iterator[tuple[int, str]]:
    """The dotted names that a module imports, with the line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def import_outside_its_seam(module) -> Iterator[Finding]:
    for line, name in imported(module):
        for package, homes in IMPORTS.items():
            if is_in(name, package) and module.path not in homes:
                yield line, f"imports {package}; its home is {sorted(homes) or 'nowhere'}"


def call_outside_its_seam(module) -> Iterator[Finding]:
    generators = set(_under_a_parameter(module, "random"))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            for call, homes in CALLS.items():
                if (name == call or name.endswith("." + call)) and module.path not in homes:
                    if call == "open" and name != "open":
                        continue  # a method of that name
                    yield node.lineno, f"calls {call}(); its home is {sorted(homes) or 'nowhere'}"
            if name.startswith("random.") and name != "random.Random" and node not in generators:
                yield node.lineno, f"calls {name}(): chance is a random.Random that is passed in"


def _under_a_parameter(module, name: str) -> Iterator[ast.AST]:
    """All that stands in functions which have a parameter of that name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            if name in [argument.arg for argument in arguments]:
                yield from ast.walk(node)


def task_outside_the_supervisor(module) -> Iterator[Finding]:
    """Rule 20: tasks start in kbroker/tasks.py only."""
    for node in ast.walk(module.tree):
        starts = isinstance(node, ast.Attribute) and node.attr in ("create_task", "ensure_future")
        if starts and module.path != "kbroker/tasks.py":
            yield node.lineno, "starts a task"


def catch_all(module) -> Iterator[Finding]:
    """Rule 28: the supervisor and dispatch alone catch everything."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler) or module.path in CATCH_ALL:
            continue
        name = "" if node.type is None else ast.unparse(node.type)
        if name in ("", "Exception", "BaseException"):
            raises = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if not (raises and module.path in CATCH_ALL_AND_RAISE):
                yield node.lineno, f"except {name}".strip()


def any_type(module) -> Iterator[Finding]:
    """Rule 29: Any is for the codec's tables; `Handler[Any, Any]` is the table of handlers."""
    if module.path in ANY_TYPE or module.path == "kbroker/handler.py":
        return
    for line, name in imported(module):
        if name == "typing.Any":
            yield line, "imports Any"


def impure_decision(module) -> Iterator[Finding]:
    if module.path in PURE or module.package == "coordinator":
        for line, name in imported(module):
            if any(is_in(name, package) for package in IMPURE_IMPORTS):
                yield line, f"a pure module imports {name}"


def inside_knowledge(module) -> Iterator[Finding]:
    """Tests over TCP know the command line and the clients, not our modules."""
    if module.package == "interop_tests":
        for line, name in imported(module):
            if any(is_in(name, package) for package in OURS):
                yield line, f"imports {name}"


IN_THE_PRODUCT = [
    import_outside_its_seam,
    call_outside_its_seam,
    task_outside_the_supervisor,
    catch_all,
    any_type,
    impure_decision,
]

SAMPLES = [
    (import_outside_its_seam, "kbroker/x.py", "import time"),
    (import_outside_its_seam, "kbroker/x.py", "from concurrent.futures import Executor"),
    (call_outside_its_seam, "log/x.py", "open('f')"),
    (call_outside_its_seam, "log/x.py", "os.open('f', 0)"),
    (call_outside_its_seam, "kbroker/x.py", "datetime.datetime.now()"),
    (call_outside_its_seam, "kbroker/x.py", "random.random()"),
    (task_outside_the_supervisor, "kbroker/x.py", "loop.create_task(f())"),
    (catch_all, "log/x.py", "try: f()\nexcept Exception: pass"),
    (catch_all, "log/x.py", "try: f()\nexcept: pass"),
    (catch_all, "kbroker/cluster/sqlite.py", "try: f()\nexcept BaseException: pass"),
    (any_type, "log/x.py", "from typing import Any"),
    (impure_decision, "kbroker/replication/isr.py", "import asyncio"),
    (impure_decision, "coordinator/group/shard.py", "from time import monotonic"),
    (inside_knowledge, "interop_tests/x.py", "from wire.header import Header"),
]


@pytest.mark.parametrize("rule", IN_THE_PRODUCT)
def test_modules_of_the_product(rule: Callable, product, obey) -> None:
    modules = [module for module in product if module.package != "simulator"]
    obey(rule, modules)


def test_tests_over_tcp_know_nothing_of_the_inside(everything, obey) -> None:
    obey(inside_knowledge, everything)


@pytest.mark.parametrize(("rule", "path", "text"), SAMPLES)
def test_a_rule_finds_what_it_is_about(rule: Callable, path: str, text: str, sample) -> None:
    assert list(rule(sample(path, text)))


def test_methods_and_seeded_generators_are_no_findings(sample) -> None:
    text = "file_system.open('f')\nrandom.Random(1)\ndef f(random): return random.random()"
    assert not list(call_outside_its_seam(sample("log/x.py", text)))
