"""`cron/notify_alert`: the program of that name for hosts that have the compose stack only."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "cron" / "notify_alert"
FILE = ["-f", "docker-compose-phase4.yml"]
# A container has a name that says nothing to anybody.
NAMED = ["notify_alert", "--host", os.uname().nodename]

# Writes down how it was called, and answers as the file `status` beside it says.
DOCKER_COMPOSE = """#!/bin/bash
here=$(dirname "$0")
printf '%s\\0' "$PWD" "$@" >>"$here/calls"
echo >>"$here/calls"
case "$*" in
    *" true") cat; echo noise >&2; exit "$(cat "$here/running")" ;;
    *) cat >"$here/stdin"; exit "$(cat "$here/status")" ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with a docker-compose in it, whose notifier runs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "docker-compose").write_text(DOCKER_COMPOSE)
    (directory / "docker-compose").chmod(0o755)
    (directory / "running").write_text("0")
    (directory / "status").write_text("0")
    return directory


def ran(
    program: Path, programs: Path, *arguments: str, stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a script with that docker-compose before any other."""
    return subprocess.run(
        [program, *arguments],
        env={"PATH": f"{programs}:/usr/bin:/bin", **env},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def calls(programs: Path) -> list[list[str]]:
    """Directory and arguments of each call."""
    lines = (programs / "calls").read_text().splitlines()
    return [line.rstrip("\0").split("\0") for line in lines]


def test_it_runs_in_the_notifiers_container(programs: Path) -> None:
    done = ran(PROGRAM, programs, "the backup failed", "it's $HOME", stdin="piped")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    *_, (directory, *arguments) = calls(programs)
    assert Path(directory).resolve() == ROOT
    in_container = ["exec", "-T", "alert-notifier", *NAMED]
    assert arguments == [*FILE, *in_container, "the backup failed", "it's $HOME"]
    assert (programs / "stdin").read_text() == "piped"


def test_it_makes_a_container_when_the_notifier_is_down(programs: Path) -> None:
    (programs / "running").write_text("1")
    assert ran(PROGRAM, programs, "down").returncode == 0
    *_, (_, *arguments) = calls(programs)
    made = ["run", "--rm", "--no-deps", "-T", "alert-notifier", *NAMED]
    assert arguments == [*FILE, *made, "down"]


def test_its_failure_is_the_programs_and_is_not_tried_twice(programs: Path) -> None:
    (programs / "status").write_text("1")
    assert ran(PROGRAM, programs).returncode == 1
    assert len(calls(programs)) == 2  # is the notifier there, and then the message


def test_a_link_on_path_finds_the_checkout(programs: Path, tmp_path: Path) -> None:
    link = tmp_path / "notify_alert"
    link.symlink_to(PROGRAM)
    assert ran(link, programs).returncode == 0
    assert Path(calls(programs)[-1][0]).resolve() == ROOT


def test_a_copy_on_path_is_told_where_the_checkout_is(programs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "notify_alert"
    shutil.copy(PROGRAM, copy)
    assert ran(copy, programs, STACKLENS=str(ROOT)).returncode == 0
    assert Path(calls(programs)[-1][0]).resolve() == ROOT


def test_jobs_of_cron_use_it_where_path_has_none(programs: Path, tmp_path: Path) -> None:
    # Nothing answers; and jq of Debian 12 finds no fault with that.
    for name, text in (("curl", "exit 7"), ("jq", "cat >/dev/null")):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    logs = tmp_path / "logs"
    done = ran(ROOT / "cron" / "health-check.sh", programs, STACKLENS_LOGS=str(logs))
    assert done.returncode == 1
    *_, (_, *arguments) = calls(programs)
    assert arguments[-1] == "StackLens at http://localhost:8005 is not healthy: no answer"
    assert "notify_alert failed" not in (logs / "health-check.log").read_text()
    (programs / "status").write_text("1")
    ran(ROOT / "cron" / "health-check.sh", programs, STACKLENS_LOGS=str(logs))
    assert "notify_alert failed: perhaps nobody" in (logs / "health-check.log").read_text()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ('{"status": "healthy"}', 0),
        ('{"status": "unhealthy", "database": "no"}', 1),
        ("<html>Bad gateway</html>", 1),
    ],
)
def test_the_health_check_reads_what_is_answered(
    programs: Path, tmp_path: Path, answer: str, status: int
) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed: apt-get install -y jq")
    (programs / "curl").write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")
    (programs / "curl").chmod(0o755)
    logs = tmp_path / "logs"
    done = ran(ROOT / "cron" / "health-check.sh", programs, STACKLENS_LOGS=str(logs))
    assert done.returncode == status
    called = calls(programs) if (programs / "calls").exists() else []
    told = [arguments[-1] for _, *arguments in called if "healthy" in arguments[-1]]
    assert told == (
        [f"StackLens at http://localhost:8005 is not healthy: {answer}"] if status else []
    )
