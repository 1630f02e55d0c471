"""promtool for a test of alert rules: what is said where it cannot be had."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from devstack import prometheus
from devstack.errors import DevstackError, NotHereError
from devstack.prometheus import PART_NAME, fetch_promtool


def silent(_line: str) -> None:
    """Nobody reads the progress."""


def fetched(monkeypatch: pytest.MonkeyPatch, cache: Path, program: str) -> Path:
    """What becomes of a package that holds `program`, a shell script."""

    def unpacked(
        work: Path, _suite: str, packages: Sequence[str], _not: Sequence[str]
    ) -> list[Path]:
        target = work / "unpacked/usr/bin" / packages[0]
        target.parent.mkdir(parents=True)
        target.write_text(program)
        target.chmod(0o755)
        return []

    monkeypatch.setattr(shutil, "which", lambda tool: f"/bin/{tool}")
    monkeypatch.setattr(prometheus, "fetch_packages", unpacked)
    return fetch_promtool(cache, silent)


def test_without_debians_tools_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _tool: None)
    with pytest.raises(NotHereError, match="there is no apt-get here"):
        fetch_promtool(tmp_path, silent)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_part_needs_no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fetched(monkeypatch, tmp_path, "#!/bin/sh\necho promtool, version 2.42.0+ds\n")
    assert found == tmp_path / PART_NAME / "promtool"
    assert {each.name for each in found.parent.iterdir()} == {"promtool", ".ready"}
    monkeypatch.setattr(shutil, "which", lambda _tool: None)
    assert fetch_promtool(tmp_path, silent) == found


@pytest.mark.parametrize(
    ("program", "error", "said"),
    [
        ("#!/bin/sh\necho promtool, version 2.41.9\n", DevstackError, r"2\.42 or newer"),
        ("#!/bin/sh\necho no glibc >&2; exit 1\n", NotHereError, "does not run here.*no glibc"),
        ("of another processor", NotHereError, "does not run here"),
    ],
)
def test_a_program_of_no_use_is_not_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    error: type[DevstackError],
    said: str,
) -> None:
    with pytest.raises(error, match=said):
        fetched(monkeypatch, tmp_path, program)
    assert not (tmp_path / PART_NAME / ".ready").exists()
