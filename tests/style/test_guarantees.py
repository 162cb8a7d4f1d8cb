"""The rules about docs/GUARANTEES.md: each promise is one sentence that names the tests behind it.
In docs/OPERATIONS.md each procedure names its tests.

A promise is a list item under a heading that does not begin with "Not"; nothing else stands there,
so that no sentence escapes. A test is named as `path::name`, a recorded scenario of Apache Kafka's
answers by the path of its golden file. What is named must exist, and be expected to pass.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GUARANTEES = ROOT / "docs" / "GUARANTEES.md"
TESTING = ROOT / "docs" / "TESTING.md"
OPERATIONS = ROOT / "docs" / "OPERATIONS.md"
LIMITS = "## Not"
"""How the headings begin under which nothing is promised."""

REFERENCE = re.compile(r"`((?:tests|interop_tests)/[^`\s]+)`")
END_OF_SENTENCE = re.compile(r"[.!?](?=\s+[A-Z]|$)")

Finding = tuple[int, str]


@dataclass(frozen=True)
class Item:
    """A list item: its first line's number, the words before the first reference, references."""

    line: int
    words: str
    references: tuple[str, ...]


def promises(text: str) -> Iterator[Item | Finding]:
    """The items under headings of promises; a finding for whatever else stands there."""
    promising = False
    item: list[str] = []
    start = 0
    for number, line in enumerate([*text.splitlines(), "## end"], 1):
        if item and not line.startswith("  "):
            yield _item(start, " ".join(item))
            item = []
        if line.startswith("#"):
            promising = line.startswith("## ") and not line.startswith(LIMITS)
        elif not promising or not line.strip():
            continue
        elif line.startswith("- "):
            item, start = [line[2:]], number
        elif item:
            item.append(line.strip())
        else:
            yield number, "stands under a heading of promises and is no list item"


def _item(line: int, text: str) -> Item:
    return Item(
        line, text.split("`tests/")[0].split("`interop_tests/")[0].strip(), references(text)
    )


def references(text: str) -> tuple[str, ...]:
    return tuple(REFERENCE.findall(text))


def unproven(text: str) -> Iterator[Finding]:
    """Each promise is one sentence, and names what proves it."""
    for each in promises(text):
        if not isinstance(each, Item):
            yield each
            continue
        if not each.references:
            yield each.line, "names no test"
        if len(END_OF_SENTENCE.findall(each.words)) != 1:
            yield each.line, "is not one sentence: of two, one could go unproven"


def untrue(reference: str, root: Path) -> str | None:
    """Why the reference proves nothing; None if it is sound."""
    path, _, name = reference.partition("::")
    file = root / path
    if not file.is_file():
        return f"{path} does not exist"
    if not name:
        if path.endswith(".py"):
            return f"{path} is a file of tests: which of them?"
        return None
    tests = named_in(file.read_text())
    if name not in tests:
        return f"{path} has no test {name}"
    return f"{reference} is expected to fail" if tests[name] else None


def named_in(text: str) -> dict[str, bool]:
    """The tests of a module, by name: functions, and classes of stateful tests given a name that
    pytest finds. True: it is marked as expected to fail."""
    tests = {}
    marks = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = [ast.unparse(each) for each in node.decorator_list]
            failing = any("xfail" in each or marks.get(each) for each in decorators)
            tests[node.name] = failing
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    marks[target.id] = "mark.xfail" in ast.unparse(node.value)
                    if target.id.startswith("Test"):
                        tests[target.id] = False
    return {name: failing for name, failing in tests.items() if name.lower().startswith("test")}


def test_each_promise_is_a_sentence_that_names_its_tests() -> None:
    findings = [f"docs/GUARANTEES.md:{line}: {words}" for line, words in unproven(_guarantees())]
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("document", [GUARANTEES, TESTING, OPERATIONS], ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists_and_is_expected_to_pass(document: Path) -> None:
    named = [each for each in references(document.read_text()) if not each.endswith("/")]
    found = {each: untrue(each, ROOT) for each in named if "::" in each or document == GUARANTEES}
    assert not {each: why for each, why in found.items() if why}


def test_each_procedure_of_operators_is_a_test() -> None:
    sections = OPERATIONS.read_text().split("\n## ")[1:]
    assert len(sections) > 5
    assert not [each.splitlines()[0] for each in sections if not references(each)]


def test_there_are_promises_and_limits() -> None:
    text = _guarantees()
    assert len(list(promises(text))) > 30
    assert LIMITS in text


def _guarantees() -> str:
    return GUARANTEES.read_text()


PROVEN = (
    "# T\n\nWords.\n\n## Order\n\n- It holds.\n  `tests/a.py::test_a`\n\n## Not here\n\nWords.\n"
)


def test_a_proven_promise_and_words_elsewhere_are_no_findings() -> None:
    assert not list(unproven(PROVEN))
    assert [each.references for each in promises(PROVEN) if isinstance(each, Item)] == [
        ("tests/a.py::test_a",)
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  `tests/a.py::test_a`\n", ""),
        ("It holds.", "It holds. And more."),
        ("- It holds.", "It holds."),
        ("- It holds.", "- Always.\n- It holds."),
    ],
)
def test_an_unproven_promise_is_found(old: str, new: str) -> None:
    assert list(unproven(PROVEN.replace(old, new)))


def test_references_that_prove_nothing_are_found(tmp_path: Path) -> None:
    (tmp_path / "golden.txt").write_text("")
    (tmp_path / "a.py").write_text(
        "broken = pytest.mark.xfail(reason='')\n"
        "def test_good(): pass\n"
        "@pytest.mark.xfail(reason='')\ndef test_bad(): pass\n"
        "@broken\ndef test_bad_too(): pass\n"
        "def help(): pass\n"
        "TestMachine = Machine.TestCase\n"
    )
    for good in ("a.py::test_good", "a.py::TestMachine", "golden.txt"):
        assert untrue(good, tmp_path) is None
    bad = ("a.py", "b.py::test_good", "a.py::test_no", "a.py::help", "a.py::test_bad", "no.txt")
    for reference in (*bad, "a.py::test_bad_too"):
        assert untrue(reference, tmp_path)
