"""Where a test run lets its servers keep their data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.cache import DATA_VARIABLE
from tests import memory_folder


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this run itself uses is put back afterwards."""
    monkeypatch.setenv(DATA_VARIABLE, "a value to come back to")
    monkeypatch.delenv(DATA_VARIABLE)


def meminfo(folder: Path, available_kb: int) -> Path:
    path = folder / "meminfo"
    path.write_text(f"MemTotal:       9 kB\nMemAvailable:   {available_kb} kB\n")
    return path


def test_a_folder_is_made_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_folder, "NEEDED_BYTES", 1)
    folder = memory_folder.use_for_servers(tmp_path)
    assert folder is not None
    assert folder.is_dir()
    assert os.environ[DATA_VARIABLE] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o711


def test_too_little_room_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_folder, "NEEDED_BYTES", 2**62)
    assert memory_folder.use_for_servers(tmp_path) is None
    assert DATA_VARIABLE not in os.environ


def test_a_folder_that_was_named_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, "elsewhere")
    monkeypatch.setattr(memory_folder, "NEEDED_BYTES", 1)
    assert memory_folder.use_for_servers(tmp_path) is None
    assert os.environ[DATA_VARIABLE] == "elsewhere"


def test_room_is_what_memory_is_available(tmp_path: Path) -> None:
    assert memory_folder.room_bytes(tmp_path, meminfo(tmp_path, available_kb=7)) == 7 * 1024
    assert memory_folder.room_bytes(tmp_path / "none", meminfo(tmp_path, available_kb=7)) == 0


def test_only_folders_of_runs_that_are_gone_are_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
        gone = tmp_path / f"stacklens-tests-{ended.pid}-abc"
        running = tmp_path / f"stacklens-tests-{os.getpid()}-abc"
        other = tmp_path / "stacklens-tests-of-somebody"
        for folder in (gone, running, other):
            (folder / "inner").mkdir(parents=True)
        memory_folder.remove_left_behind(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([running, other])
