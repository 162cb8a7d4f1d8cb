"""The project's modules, parsed once for all rules."""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCT = ("wire", "log", "coordinator", "kbroker", "simulator")
AROUND = ("tests", "interop_tests", "bench", "tools")


@dataclass(frozen=True)
class Module:
    """One Python file: its path from the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.path.split("/")[0]


def parse(path: str, text: str) -> Module:
    return Module(path, text, ast.parse(text, path))


def _modules(packages: tuple[str, ...]) -> list[Module]:
    paths = sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))
    return [parse(str(path.relative_to(ROOT)), path.read_text()) for path in paths]


@pytest.fixture(scope="session")
def product() -> list[Module]:
    """The modules that run in production or in simulation."""
    return _modules(PRODUCT)


@pytest.fixture(scope="session")
def everything(product: list[Module]) -> list[Module]:
    return [*product, *_modules(AROUND)]


@pytest.fixture(scope="session")
def sample():
    """Makes a module of a piece of text: what a rule must find there is the test of the rule."""
    return parse


@pytest.fixture
def obey():
    """Fails with one line for each thing that a rule finds in the modules."""

    def judge(rule, modules) -> None:
        findings = [
            f"{module.path}:{line}: {words}" for module in modules for line, words in rule(module)
        ]
        if findings:
            pytest.fail("\n".join([str(rule.__doc__ or rule.__name__), *findings]), pytrace=False)

    return judge
