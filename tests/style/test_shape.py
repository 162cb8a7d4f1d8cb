"""The rules about the shape of modules: how long, how named, what they may hold.

Each rule takes a module and yields what it finds as (line, words); the tree must give nothing. The
samples show that a rule finds what it is about. An exception stands in a table with its reason.
"""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

Finding = tuple[int, str]

FILE_LINES = 450
# A suite is a list of scenarios: it may be longer than what it tests, within reason.
TEST_LINES = 650
FUNCTION_LINES = 70
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
# Words that say that something is unfinished; written apart so that this file passes its own rule.
UNFINISHED = re.compile(r"\b(FIX" + r"ME|TO" + r"DO|XX" + r"X|HA" + r"CK)\b")

# Rule 5: inheritance is for declarations, exceptions and protocols.
BASES = {
    "Struct", "Request", "Response", "ConfigTable", "Exception", "Protocol", "Generic",
    "Enum", "IntEnum", "StrEnum", "IntFlag", "NamedTuple", "TypedDict",
    "BufferedProtocol", "Deferred",
}  # fmt: skip
BASES_ELSEWHERE = {
    "wire/schema.py": "declares the bases themselves and the metaclass of rule 6",
    "wire/primitives.py": "a table that fills itself is a dict with __missing__",
    "wire/decoder_source.py": "one writer of source text for each direction",
    "wire/encoder_source.py": "one writer of source text for each direction",
    "kbroker/config/broker_config.py": "one table in five files",
    "simulator/disk_nodes.py": "simulated nodes",
    "simulator/loop.py": "asyncio's own loop, with another clock",
    "simulator/network.py": "the transports and servers that asyncio declares",
    "simulator/report.py": "a formatter of log lines, as logging declares them",
    "simulator/disk_faults/experiment.py": "what hears lines of a log is a logging.Handler",
    "simulator/disk_faults/scene.py": "a chance that falls the same way always",
    "simulator/probes_log.py": "what reads lines of a log is a logging.Handler",
    "kbroker/cli/lazy_commands.py": "how click lets a group find its commands",
}
MUTABLE_CALLS = {
    "dict",
    "list",
    "set",
    "defaultdict",
    "deque",
    "OrderedDict",
    "Counter",
    "bytearray",
}
TABLE_NAME = re.compile(r"_?[A-Z][A-Z0-9_]*$|__all__$")


def long_file(module) -> Iterator[Finding]:
    lines = module.text.count("\n")
    most = TEST_LINES if module.package in ("tests", "interop_tests") else FILE_LINES
    if lines > most:
        yield lines, f"has {lines} lines, at most {most}"


def long_function(module) -> Iterator[Finding]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield node.lineno, f"{node.name}() has {lines} lines, at most {FUNCTION_LINES}"


def no_docstring(module) -> Iterator[Finding]:
    if not ast.get_docstring(module.tree):
        yield 1, "has no docstring that names its one job"


def unfinished(module) -> Iterator[Finding]:
    for number, line in enumerate(module.text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield number, "an issue or a decision record instead"


def vague_name(module) -> Iterator[Finding]:
    stem = module.path.removesuffix(".py").rpartition("/")[2]
    if VAGUE_NAMES & set(stem.split("_")) and stem.removeprefix("test_") != "replica_manager":
        yield 1, f"the name {stem} does not say what it is for"


def code_in_init(module) -> Iterator[Finding]:
    if not module.path.endswith("__init__.py"):
        return
    for node in module.tree.body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_docstring and not isinstance(
            node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
        ):
            yield node.lineno, "__init__.py holds a docstring and explicit tables only"


def mutable_module_state(module) -> Iterator[Finding]:
    """Rule 9: several brokers share one process. Tables in capitals are constants."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            if _is_mutable(node.value) and not all(map(TABLE_NAME.match, names)):
                yield node.lineno, f"mutable state in the module: {', '.join(names)}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield node.lineno, f"global {', '.join(node.names)}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _writes_to_tables(node)


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        called = value.func
        name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
        return name in MUTABLE_CALLS
    literals = ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp
    return isinstance(value, literals)


def _writes_to_tables(function: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store | ast.Del)
            and isinstance(node.value, ast.Name)
            and TABLE_NAME.match(node.value.id)
        ):
            yield node.lineno, f"writes to the table {node.value.id}"


def inheritance(module) -> Iterator[Finding]:
    if module.path in BASES_ELSEWHERE:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                named = base.value if isinstance(base, ast.Subscript) else base
                name = named.id if isinstance(named, ast.Name) else getattr(named, "attr", "")
                if name not in BASES and not name.endswith("Error"):
                    yield node.lineno, f"class {node.name} inherits from {name}"


EVERYWHERE = [long_file, long_function, no_docstring, unfinished, vague_name]
IN_THE_PRODUCT = [code_in_init, mutable_module_state, inheritance]

SAMPLES = [
    (long_file, "'x'\n" * (FILE_LINES + 1)),
    (long_function, "def f():\n" + "    pass\n" * FUNCTION_LINES),
    (no_docstring, "import os"),
    (unfinished, "# TO" + "DO: later"),
    (mutable_module_state, "cache = {}"),
    (mutable_module_state, "seen: set[int] = set()"),
    (mutable_module_state, "TABLE = {}\ndef f(): TABLE[1] = 2"),
    (mutable_module_state, "x = 1\ndef f():\n    global x\n    x = 2"),
    (inheritance, "class Base: pass\nclass Child(Base): pass"),
]


@pytest.mark.parametrize("rule", EVERYWHERE)
def test_every_module(rule: Callable, everything, obey) -> None:
    obey(rule, everything)


@pytest.mark.parametrize("rule", IN_THE_PRODUCT)
def test_modules_of_the_product(rule: Callable, product, obey) -> None:
    obey(rule, product)


@pytest.mark.parametrize(("rule", "text"), SAMPLES)
def test_a_rule_finds_what_it_is_about(rule: Callable, text: str, sample) -> None:
    assert list(rule(sample("package/module.py", text)))


def test_names_and_package_files_are_looked_at(sample) -> None:
    assert list(vague_name(sample("log/utils.py", "")))
    assert list(vague_name(sample("log/task_manager.py", "")))
    assert not list(vague_name(sample("kbroker/replication/replica_manager.py", "")))
    assert list(code_in_init(sample("log/__init__.py", "'x'\ndef f(): pass")))
    assert not list(code_in_init(sample("log/__init__.py", "'x'\nfrom a import b\nT = {1: b}")))


def test_exceptions_are_of_this_tree(product) -> None:
    assert set(BASES_ELSEWHERE) <= {module.path for module in product}
