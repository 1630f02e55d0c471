"""Where commands look for the API when they are not told: in the environment, then on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics_service.entrypoints.cli.main import run
from tests.unit.test_cli_verify import reply, server

HEALTHY = reply(200, {"status": "healthy"})
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in ("STACKLENS_BASE_URL", "API_PORT", "APP_ENV"):
        monkeypatch.delenv(name, raising=False)


def test_the_api_is_looked_for_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server({}, HEALTHY) as url:
        port = url.rpartition(":")[2]
        monkeypatch.setenv("API_PORT", port)
        assert run(["health-check"]) == 0
        monkeypatch.delenv("API_PORT")
        (tmp_path / ".env").write_text(f"API_PORT={port}\n", encoding="utf-8")
        assert run(["health-check"]) == 0
    assert run(["health-check"]) == 1
    assert f"StackLens at http://localhost:{port} is not healthy" in capsys.readouterr().out


def test_the_environment_names_another_place_and_the_option_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_PORT", "1")
    with server({}, HEALTHY) as url:
        monkeypatch.setenv("STACKLENS_BASE_URL", url)
        assert run(["health-check"]) == 0
        monkeypatch.setenv("STACKLENS_BASE_URL", NOWHERE)
        assert run(["health-check"]) == 1
        assert run(["health-check", "--base-url", url]) == 0


def test_an_api_on_any_free_port_has_to_be_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("API_PORT", "0")
    assert run(["health-check"]) == 2
    assert "--base-url is needed: API_PORT is 0" in capsys.readouterr().err


def test_settings_are_not_looked_at_when_the_place_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("API_PORT", "none")
    with server({}, HEALTHY) as url:
        assert run(["health-check", "--base-url", url]) == 0
    assert run(["health-check"]) == 2
    assert "API_PORT: must be a whole number" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["verify", "smoke", "load", "health-check"])
def test_the_help_shows_both(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "env var: STACKLENS_BASE_URL" in shown
    assert "http://localhost:$API_PORT" in shown
