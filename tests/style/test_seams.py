"""The rules about seams: where time, chance, files, threads and tasks come in, and nowhere else.

The tables are the architecture: a name, and the modules in which alone it may be used.
"""

import ast
from collections.abc import Callable, Iterator

import pytest

Finding = tuple[int, str]

# Modules of Python that only the adapters may import (or that nothing may: an empty set).
IMPORTS = {
    # Commands wait for a broker's answers; no decision of the broker's own. virtual_time.py takes
    # the functions of the module away from a foreign library that takes part in a run.
    "time": {
        "kbroker/dependencies.py",
        "kbroker/cli/connection.py",
        "simulator/virtual_time.py",
    },
    "uuid": set(),
    "secrets": set(),
    # In log/ only for locks around what a flush or a checkpoint writes in a thread.
    "threading": {"kbroker/flusher.py", "log/checkpoint_writer.py", "log/flushing.py"},
    "concurrent.futures": {
        "kbroker/cluster/sqlite.py",
        "kbroker/cluster/memory_store.py",
        "kbroker/replication/replica_manager.py",  # closing the logs, when nothing else runs
        "simulator/metadata_store.py",  # the type of what a journal has none of
    },
    "multiprocessing": set(),
    # The commands that run a local cluster: an etcd, and brokers like any other.
    "subprocess": {"kbroker/cli/cluster_etcd.py", "kbroker/cli/cluster_processes.py"},
    # In the loop for the names of constants that getaddrinfo answers with.
    "socket": {"kbroker/cli/cluster_etcd.py", "kbroker/cli/health.py", "simulator/loop.py"},
    "ssl": {
        "kbroker/cluster/etcd_gateway.py",
        "kbroker/cluster/etcd_http.py",
        "kbroker/cluster/etcd_opening.py",
    },
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
    # In cluster_processes.py for what a program of somebody else's says.
    "os.open": {"log/file_system.py", "kbroker/cli/cluster_processes.py"},
    "os.fsync": {"log/file_system.py"},
    "os.fdatasync": {"log/file_system.py"},
    "datetime.now": set(),
}
# Of the simulator only what starts runs and tells of them knows the real world; runs, and all that
# is in them, know none of it.
AROUND_RUNS = {
    "simulator/many.py",  # processes, and how long each may take
    "simulator/report.py",  # the checkout's commit
    "simulator/shrink.py",  # how long it may take
    "simulator/corpus.py",  # the file of commands
    "simulator/mutants/harness.py",  # copies of the sources, and processes on them
    "simulator/mutants/seeds.py",  # prints what its process has found
}
# Who runs a simulation's tasks: the world, its machines, and what happens to them.
SIMULATED_TASKS = {
    "simulator/cluster.py",
    "simulator/cluster_run.py",
    "simulator/run.py",
    "simulator/world.py",
    "simulator/faults/brokers.py",
    "simulator/faults/nemesis.py",
}
# What an object's address is good for: to know it again while it lives. Never for an order.
ADDRESSES = {
    "kbroker/handlers/produce.py",
    "simulator/disk_image.py",
    "simulator/disk_nodes.py",
    "simulator/invariants.py",
}
# Of bytes and numbers, to know them again within one process.
HASHES = {"simulator/crash_states/enumeration.py"}
UNSEEDED = {"kbroker/dependencies.py", "kbroker/metadata_restoration.py"}
# Chance that nobody has passed in: the module's own functions.
SYSTEM_CHANCE = {
    f"random.{name}"
    for name in ("random", "randint", "randrange", "choice", "choices", "shuffle", "sample",
                 "uniform", "expovariate", "gauss", "randbytes", "getrandbits", "SystemRandom")
}  # fmt: skip
ORDERLESS = {"sorted", "any", "all", "sum", "min", "max", "len", "set", "frozenset", "Counter"}
# `watch` hands what a callback of ours raises to dispatch, which makes a code of it.
# A run fails by whatever is raised in it; a simulated thread hands it on, as a thread does.
CATCH_ALL = {
    "kbroker/dispatch.py",
    "kbroker/tasks.py",
    "kbroker/watch.py",
    "simulator/run.py",
    "simulator/loop.py",
    "simulator/crash_states/checking.py",
    "simulator/crash_states/enumeration.py",
}
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


def is_around_runs(module) -> bool:
    is_program = module.package == "simulator" and module.path.endswith("/__main__.py")
    return is_program or module.path in AROUND_RUNS


def import_outside_its_seam(module) -> Iterator[Finding]:
    if is_around_runs(module):
        return
    for line, name in imported(module):
        for package, homes in IMPORTS.items():
            if is_in(name, package) and module.path not in homes:
                yield line, f"imports {package}; its home is {sorted(homes) or 'nowhere'}"


def call_outside_its_seam(module) -> Iterator[Finding]:
    if is_around_runs(module):
        return
    generators = set(_under_a_parameter(module, "random"))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            for call, homes in CALLS.items():
                if (name == call or name.endswith("." + call)) and module.path not in homes:
                    if call == "open" and name != "open":
                        continue  # a method of that name
                    if call == "asyncio.create_task" and module.path in SIMULATED_TASKS:
                        continue
                    yield node.lineno, f"calls {call}(); its home is {sorted(homes) or 'nowhere'}"
            if name == "random.Random" and not node.args and module.path not in UNSEEDED:
                yield node.lineno, "makes chance without a seed"
            if name in SYSTEM_CHANCE and node not in generators:
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
        if starts and module.path not in {"kbroker/tasks.py", *SIMULATED_TASKS}:
            yield node.lineno, "starts a task"


def file_in_a_run(module) -> Iterator[Finding]:
    """Of the simulator only what is around runs knows the real file system."""
    if module.package == "simulator" and not is_around_runs(module):
        for line, name in imported(module):
            if any(is_in(name, package) for package in ("pathlib", "shutil", "tempfile", "io")):
                yield line, f"imports {name}"


def order_by_chance(module) -> Iterator[Finding]:
    """Rule 21: no order of a set, and nothing of an address or a hash, reaches a decision. Sees
    what is a set by its own text: made as one, or declared so, in the same function or class."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            homes = {"id": ADDRESSES, "hash": HASHES}.get(node.func.id)
            if homes is not None and module.path not in homes:
                yield node.lineno, f"calls {node.func.id}()"
    attributes = {name for name in _names_of_sets(module.tree) if name.startswith("self.")}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = attributes | set(_names_of_sets(node))
            for line, iterated in _iterated(node):
                if _is_set(iterated, names):
                    yield line, f"goes by the order of the set {ast.unparse(iterated)}"


def _iterated(function: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    """What is gone through where the order matters."""
    fine = {
        argument
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in ORDERLESS
        for argument in call.args
    }
    for node in ast.walk(function):
        if isinstance(node, ast.For):
            yield node.lineno, node.iter
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp) and node not in fine:
            yield from ((node.lineno, generator.iter) for generator in node.generators)
        elif isinstance(node, ast.Call):
            if ast.unparse(node.func) in ("list", "tuple", "iter", "enumerate", "dict.fromkeys"):
                yield from ((node.lineno, argument) for argument in node.args[:1])
            elif isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and not node.args:
                yield node.lineno, node.func.value


def _is_set(value: ast.expr, names: set[str]) -> bool:
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr | ast.BitAnd | ast.Sub):
        return _is_set(value.left, names) or _is_set(value.right, names)
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) in ("set", "frozenset", "asyncio.all_tasks")
    return isinstance(value, ast.Set | ast.SetComp) or ast.unparse(value) in names


def _names_of_sets(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            if ast.unparse(node.annotation).startswith(("set[", "frozenset[")):
                name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
                yield from (name, f"self.{name}")
        elif isinstance(node, ast.Assign) and _is_set(node.value, set()):
            yield from map(ast.unparse, node.targets)


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
    file_in_a_run,
    order_by_chance,
]

SAMPLES = [
    (import_outside_its_seam, "kbroker/x.py", "import time"),
    (import_outside_its_seam, "kbroker/x.py", "from concurrent.futures import Executor"),
    (call_outside_its_seam, "log/x.py", "open('f')"),
    (call_outside_its_seam, "log/x.py", "os.open('f', 0)"),
    (call_outside_its_seam, "kbroker/x.py", "datetime.datetime.now()"),
    (call_outside_its_seam, "kbroker/x.py", "random.random()"),
    (task_outside_the_supervisor, "kbroker/x.py", "loop.create_task(f())"),
    (import_outside_its_seam, "simulator/x.py", "import time"),
    (import_outside_its_seam, "simulator/network.py", "import threading"),
    (call_outside_its_seam, "simulator/x.py", "open('f')"),
    (call_outside_its_seam, "simulator/x.py", "random.randint(1, 2)"),
    (call_outside_its_seam, "simulator/x.py", "random.Random()"),
    (task_outside_the_supervisor, "simulator/network.py", "asyncio.create_task(f())"),
    (file_in_a_run, "simulator/x.py", "from pathlib import Path"),
    (order_by_chance, "log/x.py", "def f():\n    for each in {1, 2}: pass"),
    (order_by_chance, "log/x.py", "def f(x: set[str]): return list(x)"),
    (order_by_chance, "log/x.py", "def f(x: set[str]): return [each for each in x]"),
    (order_by_chance, "log/x.py", "def f(x: set[str]): return x.pop()"),
    (order_by_chance, "log/x.py", "class C:\n  a: set[str]\n  def f(self): list(self.a)"),
    (order_by_chance, "log/x.py", "def f(x): return id(x)"),
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
    obey(rule, product)


def test_tests_over_tcp_know_nothing_of_the_inside(everything, obey) -> None:
    obey(inside_knowledge, everything)


@pytest.mark.parametrize(("rule", "path", "text"), SAMPLES)
def test_a_rule_finds_what_it_is_about(rule: Callable, path: str, text: str, sample) -> None:
    assert list(rule(sample(path, text)))


def test_methods_and_seeded_generators_are_no_findings(sample) -> None:
    text = "file_system.open('f')\nrandom.Random(1)\ndef f(random): return random.random()"
    assert not list(call_outside_its_seam(sample("log/x.py", text)))


def test_what_has_no_order_may_come_of_a_set(sample) -> None:
    text = "def f(x: set[str]): return sorted(x), len(x), any(each for each in x), {*x}"
    assert not list(order_by_chance(sample("log/x.py", text)))


def test_exceptions_are_of_this_tree(product) -> None:
    named = AROUND_RUNS | SIMULATED_TASKS | ADDRESSES | HASHES | UNSEEDED
    assert named <= {module.path for module in product}
