"""The whole stack on a real engine, from nothing: `make test-compose`.

The modules run in the order of their names on one stack; a later one takes it as an earlier one leaves it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.blocks import Block, blocks
from tests.compose.lab import LabMissing, engine_answers, find_lab, install_programs, run_lab
from tests.compose.site import MORE_VOLUMES, VOLUMES, Site, make_site
from tests.waiting import wait_until

HERE = Path(__file__).parent
PORTS = "3000|5432|8004|8005|8080|8443|9090|9092|9093|9094|9095"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is left out unless it is asked for, and has more time than other tests."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("compose")
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def lab() -> Iterator[Path]:
    """The lab with its engine up and its images made; brought down again if it was down."""
    try:
        found = find_lab()
        install_programs()
        was_up = engine_answers()
        run_lab(found, "up-engine")
        run_lab(found, "build-images")
    except LabMissing as why:
        pytest.exit(f"test-compose: {why}", returncode=1)
    yield found
    if not was_up and not os.environ.get("COMPOSE_LAB_KEEP"):
        run_lab(found, "down-engine")


@pytest.fixture(scope="session")
def site(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A fresh checkout and home, and an engine without any of the stack."""
    del lab
    made = make_site(tmp_path_factory.mktemp("site"))
    taken = made.shell(f"ss -Hltn | awk '{{print $4}}' | grep -E ':({PORTS})$'").printed
    running = made.containers()
    if running or taken:
        names = [each["Name"] for each in running]
        pytest.exit(f"test-compose: stop this first: {names or taken}", returncode=1)
    # They may be somebody's data, and the tests would delete them.
    kept = set(made.right("docker volume ls -q").split()) & {*VOLUMES, *MORE_VOLUMES}
    if kept:
        command = f"docker volume rm {' '.join(sorted(kept))}"
        pytest.exit(
            f"test-compose: volumes of a stack are here; if nobody needs them: {command}",
            returncode=1,
        )
    before = set(made.right("docker volume ls -q").split())
    yield made
    made.remove_stack()
    # Those without a name, which images ask for and `down` leaves behind.
    left = set(made.right("docker volume ls -q").split()) - before
    if left:
        made.right(f"docker volume rm {' '.join(sorted(left))}")


@pytest.fixture(scope="session")
def checklist(site: Site) -> list[Block]:
    """The checklist's blocks, in their order."""
    return blocks((site.checkout / "DEPLOYMENT_CHECKLIST.md").read_text(encoding="utf-8"))


def wait_for_health(site: Site, deadline_s: float = 120) -> float:
    """Until every container of the stack is well; how long that took, in seconds."""
    began = time.monotonic()
    wait_until(lambda: not site.unwell(), deadline_s, "every container is healthy")
    return time.monotonic() - began
