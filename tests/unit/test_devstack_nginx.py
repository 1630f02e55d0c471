"""nginx for a test of our configuration: what is said where it cannot be had."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from devstack import nginx
from devstack.errors import DevstackError, NotHereError
from devstack.nginx import PART_NAME, Nginx, fetch_nginx


def silent(_line: str) -> None:
    """Nobody reads the progress."""


def fetched(monkeypatch: pytest.MonkeyPatch, cache: Path, program: str) -> Nginx:
    """What becomes of packages whose loader is `program`, a shell script."""

    def unpacked(_packages: list[Path], prefix: Path) -> None:
        loader = prefix / "usr/lib/some-linux-gnu/ld-linux-some.so.2"
        loader.parent.mkdir(parents=True)
        loader.write_text(program)
        loader.chmod(0o755)

    monkeypatch.setattr(shutil, "which", lambda tool: f"/bin/{tool}")
    monkeypatch.setattr(nginx, "fetch_packages", lambda *_: [])
    monkeypatch.setattr(nginx, "unpack", unpacked)
    return fetch_nginx(cache, silent)


def test_without_debians_tools_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _tool: None)
    with pytest.raises(NotHereError, match="there is no apt-get here"):
        fetch_nginx(tmp_path, silent)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_part_needs_no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fetched(monkeypatch, tmp_path, "#!/bin/sh\necho nginx version: nginx/1.26.3 >&2\n")
    assert found.prefix == tmp_path / PART_NAME / "prefix"
    assert {each.name for each in found.prefix.parent.iterdir()} == {"prefix", ".ready"}
    monkeypatch.setattr(shutil, "which", lambda _tool: None)
    assert fetch_nginx(tmp_path, silent) == found
    assert found.command[-1] == str(found.prefix / "usr/sbin/nginx")


@pytest.mark.parametrize(
    ("program", "error", "said"),
    [
        ("#!/bin/sh\necho nginx/1.24.0 >&2\n", DevstackError, r"1\.25 or newer"),
        ("#!/bin/sh\necho no glibc >&2; exit 1\n", NotHereError, "does not run here.*no glibc"),
        ("of another processor", NotHereError, "does not run here"),
    ],
)
def test_what_does_not_run_is_not_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    error: type[DevstackError],
    said: str,
) -> None:
    with pytest.raises(error, match=said):
        fetched(monkeypatch, tmp_path, program)
    assert not (tmp_path / PART_NAME / ".ready").exists()
