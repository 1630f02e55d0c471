"""The documentation says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from analytics_service.entrypoints.cli.main import COMMANDS
from devstack.configuration_doc import page

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_is_documented_as_declared() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == page(), "run `make docs`"


def test_every_command_is_in_the_readme() -> None:
    missing = [name for name in COMMANDS if f"`stacklens {name}" not in README]
    assert not missing


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert named <= targets


def test_the_library_example_runs_as_written() -> None:
    example = re.search(r"```python\n(.*?)```", README, re.S)
    assert example is not None
    outcome = subprocess.run(
        [sys.executable, "-c", example[1]],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT / "python-services",
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "'service': 'orders'" in outcome.stdout
    assert "'total_requests': 1" in outcome.stdout


def test_the_checklist_s_aggregation_check_prints_one_metric() -> None:
    """The command of the deployment checklist, without any environment."""
    code = """
from analytics_service import TimeSeriesAggregator
agg = TimeSeriesAggregator()
for i in range(1000):
    agg.add_log('test', None, 'info', 50.0, 0.1)
metrics = agg.aggregate('1min')
print(f'Aggregated {len(metrics)} metrics')
"""
    outcome = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={},
        cwd=ROOT / "python-services",
    )
    assert outcome.stdout == "Aggregated 1 metrics\n", outcome.stderr


DOCUMENTS = [
    *sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "DEPLOYMENT_CHECKLIST.md"
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name}: {target}"
