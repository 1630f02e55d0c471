"""promtool about prometheus/: the configuration, the rules; series that fire each alert, series that do not.

The statements of the runbook run on the real schema: nobody wants to mend them at three in the morning.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from devstack.api import to_stderr
from devstack.cache import default_directory
from devstack.errors import NotHereError
from devstack.prometheus import fetch_promtool
from tests.databases import Database
from tests.prometheus_rules import DIRECTORY, ROOT, RULE_FILES, TEST_FILES

SECONDS_TO_JUDGE = 200
STATEMENT = re.compile(r'psql -U stacklens_user -d stacklens -c "(SELECT[^"]+)"')


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' program, downloaded when it is asked for the first time."""
    try:
        return fetch_promtool(default_directory(), to_stderr)
    except NotHereError as error:
        pytest.skip(str(error))


def says(promtool: Path, *arguments: str | Path) -> tuple[int, str]:
    """Exit status and everything that promtool printed."""
    done = subprocess.run(
        [promtool, *arguments],
        cwd=DIRECTORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_JUDGE,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_configuration_and_rules_are_valid(promtool: Path) -> None:
    status, said = says(promtool, "check", "config", "prometheus.yml")
    assert status == 0, said
    status, said = says(promtool, "check", "rules", *RULE_FILES)
    assert status == 0, said
    assert said.count("SUCCESS") == len(RULE_FILES)


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: str(path.stem))
def test_alerts_fire_when_they_should_and_only_then(promtool: Path, path: Path) -> None:
    status, said = says(promtool, "test", "rules", path)
    assert status == 0, said


def test_statements_of_the_runbook_run(database: Database) -> None:
    statements = STATEMENT.findall((ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"))
    assert len(statements) > 10
    for statement in statements:
        database.rows(statement)
