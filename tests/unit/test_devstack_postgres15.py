"""PostgreSQL 15 for the schema tests: what is said where it cannot be had."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from devstack.api import DevstackError, running_stack
from devstack.errors import NotHereError
from devstack.postgres15 import PART_NAME, TOOLS, fetch_postgres15


def silent(_line: str) -> None:
    """Nobody reads the progress."""


@pytest.mark.parametrize("missing", TOOLS)
def test_a_missing_tool_is_named_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    there = {"apt-get", "dpkg", "dpkg-deb", *TOOLS} - {missing}
    monkeypatch.setattr(shutil, "which", lambda tool: f"/bin/{tool}" if tool in there else None)
    with pytest.raises(NotHereError, match=rf"there is no {missing} here.*cmake gcc make"):
        fetch_postgres15(tmp_path, silent)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_part_needs_no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _tool: None)
    (tmp_path / PART_NAME).mkdir()
    (tmp_path / PART_NAME / ".ready").touch()
    assert fetch_postgres15(tmp_path, silent).path == tmp_path / PART_NAME


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKLENS_POSTGRES", "16")
    with (
        pytest.raises(DevstackError, match="must be 15 or 17, not '16'"),
        running_stack(environ={}, progress=silent),
    ):
        pass
