"""What every test can use, and the run's one stack under xdist (see tests/run_stack.py)."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import measuring, memory_folder, scheduling
from tests.run_stack import RunStack, WorkersRunStack, run_stack_key

pytest_plugins = ["tests.stack_fixtures"]

WITHOUT_SERVERS = "tests/unit/"
_shared_directory = pytest.StashKey[Path]()
_data_in_memory = pytest.StashKey[Path | None]()

# Beside a whole suite on few cores the time of an example says nothing about the code.
settings.register_profile(
    "tests", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


@pytest.fixture(scope="module", autouse=True)
def unmeasured_children(request: pytest.FixtureRequest) -> Iterator[None]:
    """Coverage stays out of the processes that the tests of some modules start (tests/measuring.py)."""
    if measuring.measures_children(request.node.nodeid):
        yield
    else:
        with measuring.unmeasured():
            yield


def pytest_configure(config: pytest.Config) -> None:
    """Prepare (not start) the run's stack: servers start when a test that needs them is near."""
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker_input is not None:
        config.stash[run_stack_key] = WorkersRunStack(Path(worker_input["stack_file"]))
        return
    directory = Path(tempfile.mkdtemp(prefix="stacklens-tests-"))
    config.stash[_shared_directory] = directory
    config.stash[_data_in_memory] = memory_folder.use_for_servers()
    config.stash[run_stack_key] = RunStack(directory / "stack.json")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give a plugin's test the id that its name says: pytest 9.2 keeps what is in brackets for its own alone."""
    base, bracket, rest = item.name.partition("[")
    if bracket and item.nodeid.endswith(f"::{base}"):
        item._id = item.id.with_params(rest.removesuffix("]"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse two tests of one id: xdist would run one of them, and say nothing of the other."""
    twice = sorted(
        name for name, count in Counter(item.nodeid for item in items).items() if count > 1
    )
    if twice:
        raise pytest.UsageError(f"more than one test has the id {', '.join(twice[:5])}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the servers of the run."""
    if run_stack_key in config.stash:
        config.stash[run_stack_key].close()
    if _shared_directory in config.stash:
        shutil.rmtree(config.stash[_shared_directory], ignore_errors=True)
    if (in_memory := config.stash.get(_data_in_memory, None)) is not None:
        shutil.rmtree(in_memory, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> scheduling.Scheduler:
    """xdist, in the controller: what is started once stays in one worker."""
    return scheduling.make_scheduler(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist, in the controller: tell a worker where it will find the servers."""
    node.workerinput["stack_file"] = str(node.config.stash[_shared_directory] / "stack.json")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """xdist, in the controller: start the servers once it is known that a test wants them."""
    if any(not test.startswith(WITHOUT_SERVERS) for test in ids):
        node.config.stash[run_stack_key].get()
