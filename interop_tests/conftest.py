"""Options, fixtures and hooks of the interop tests: one broker and one driver of each client for
every worker."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.workermanage import WorkerController

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # `pytest interop_tests`, without `python -m`, does not put it there
    sys.path.insert(0, str(ROOT))

from interop_tests import table  # noqa: E402
from interop_tests.client import Client, Drivers  # noqa: E402
from interop_tests.clients import CLIENTS, by_name  # noqa: E402
from interop_tests.scenarios import able_clients, beyond_slice, row_of  # noqa: E402
from interop_tests.targets import MISSING, TARGETS, Target  # noqa: E402

QUICK_GROUPS = {"group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "500"}
"""Groups wait for nobody who might come, and soon miss who has died."""
SETTINGS = {"auto.create.topics.enable": "true", **QUICK_GROUPS}
STRICT_SETTINGS = {"auto.create.topics.enable": "false", **QUICK_GROUPS}
WHY_NOT = pytest.StashKey[str | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interop")
    group.addoption(
        "--target", choices=sorted(TARGETS), default="process", help="the broker under test"
    )
    group.addoption(
        "--write-table", metavar="FILE", help="write the table of client and scenario here"
    )
    group.addoption(
        "--check-table",
        metavar="FILE",
        help="fail if this table lacks or invents a scenario or client",
    )
    group.addoption(
        "--slice",
        action="store_true",
        help="each scenario with one client, those of clusters with two, in turn",
    )
    group.addoption(
        "--write-transcripts",
        action="store_true",
        help="keep what Kafka's tools print as what they have to print",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "scenario(title, needs): a row of docs/interop.md")
    config.addinivalue_line("markers", "cluster: takes several brokers")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(table.TableWriter(config), "interop-table")
        why_not = MISSING.get(config.getoption("--target"), lambda: None)
        config.stash[WHY_NOT] = why_not()


def pytest_configure_node(node: WorkerController) -> None:
    """xdist: what was found out once, each worker is told."""
    node.workerinput["why_not"] = node.config.stash[WHY_NOT]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the target is not is left out, and a target that this machine cannot have is skipped by
    name."""
    if config.getoption("--target") != "cluster":
        leave_out(config, items, [item for item in items if item.get_closest_marker("cluster")])
    else:
        for item in items:  # its fixtures start eight processes, and wait for them again and again
            item.add_marker(pytest.mark.timeout(300))
    if config.getoption("--slice"):
        leave_out(config, items, beyond_slice(items))
    if hasattr(config, "workerinput"):
        why_not = config.workerinput["why_not"]
    else:
        why_not = config.stash[WHY_NOT]
    if why_not is not None:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"{config.getoption('--target')}: {why_not}"))


def leave_out(config: pytest.Config, items: list[pytest.Item], others: list[pytest.Item]) -> None:
    """pytest then tells how many."""
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A scenario runs with every client that has what it needs; the table gives the others'
    reasons."""
    if "client" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("scenario")
        assert mark is not None, f"{metafunc.definition.nodeid} has a client but no scenario mark"
        names = [spec.name for spec in able_clients(mark.args[1])]
        metafunc.parametrize("client", names, indirect=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Puts the row and the client on the report, which xdist carries to the process that writes the
    table."""
    outcome = yield
    row = row_of(item)
    if row is not None:
        report = outcome.get_result()
        client = item.callspec.params.get("client") if hasattr(item, "callspec") else None
        report.user_properties.append(("interop_row", table.row_to_json(row)))
        report.user_properties.append(("interop_client", client))


def start_target(
    request: pytest.FixtureRequest, directory: Path, settings: dict[str, str]
) -> Iterator[Target]:
    """A broker of the kind under test, for a fixture: started, and removed in the end."""
    target = TARGETS[request.config.getoption("--target")](directory, settings)
    target.start()
    yield target
    target.remove()


@pytest.fixture(scope="session")
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """The broker of most scenarios; it creates topics on demand."""
    yield from start_target(request, tmp_path_factory.mktemp("broker"), SETTINGS)


@pytest.fixture(scope="session")
def strict_broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A broker that creates no topic on demand; scenarios may restart it, as long as it runs in the
    end."""
    yield from start_target(request, tmp_path_factory.mktemp("strict-broker"), STRICT_SETTINGS)


@pytest.fixture(scope="session")
def drivers() -> Iterator[Drivers]:
    drivers = Drivers()
    yield drivers
    drivers.close()


@pytest.fixture
def client(
    request: pytest.FixtureRequest,
    drivers: Drivers,
    broker: Target,
    record_property: Callable[[str, object], None],
) -> Client:
    """The client that the scenario is played with."""
    client = drivers.client(by_name(request.param), broker.address)
    record_property("interop_version", client.version)
    return client


@pytest.fixture
def reference(drivers: Drivers, broker: Target) -> Client:
    """A second client, in a process of its own, for what the scenario's client cannot do or must
    not do itself."""
    return drivers.client(CLIENTS[0], broker.address, role=" as reference")


@pytest.fixture(scope="session")
def topic_names(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Names never used before in this run."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    numbers = itertools.count()
    return lambda: f"interop-{worker}-{next(numbers)}"


@pytest.fixture
def topic_name(topic_names: Callable[[], str]) -> str:
    """A name that no topic has yet."""
    return topic_names()


@pytest.fixture
def topic(reference: Client, topic_name: str) -> str:
    """A topic of one partition."""
    reference.create_served_topic(topic_name)
    return topic_name
