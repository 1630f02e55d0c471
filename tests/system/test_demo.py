"""`make demo`'s program, from outside: it checks itself, and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import wait_until

# Each may wait for all the others.
pytestmark = pytest.mark.timeout(900)

# Two demos that start at the same moment may choose the same port before either listens.
ONE_AT_A_TIME = Path(tempfile.gettempdir()) / f"stacklens-demo-tests-{os.getuid()}.lock"

CHECKOUT = Path(__file__).resolve().parents[2]
OWN_SERVERS = ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS", "DB_HOST")
SETTLED = re.compile(r"^sent (\d+), stored (\d+), dead-lettered (\d+)$", re.MULTILINE)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other test of this machine runs a demo."""
    with ONE_AT_A_TIME.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def demo(**variables: str) -> Iterator[subprocess.Popen[str]]:
    """The demo with the embedded stack, whatever servers this test run uses; killed at the end."""
    env = {name: value for name, value in os.environ.items() if name not in OWN_SERVERS}
    with (
        one_at_a_time(),
        subprocess.Popen(
            [sys.executable, "-u", "-m", "devstack", "demo"],
            cwd=CHECKOUT,
            env={**env, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What the demo prints, up to and with the line that holds `text`."""
    assert process.stdout is not None
    told = ""
    for line in process.stdout:
        told += line
        if text in line:
            return told
    raise AssertionError(f"{text!r} was not printed:\n{told}")


def descendants(pid: int) -> set[int]:
    """Processes below one, as far as they are there."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level}
        found |= level
    return found


def commands(pids: set[int]) -> Mapping[int, bytes]:
    """Command lines of those of the processes that still run."""
    still: dict[int, bytes] = {}
    for pid in pids:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if command:
            still[pid] = command
    return still


@pytest.mark.slow
def test_it_ends_by_itself_and_has_checked_that_all_arrived() -> None:
    with demo(DEMO_SECONDS="4") as process:
        told, _ = process.communicate(timeout=240)
    assert process.returncode == 0, told
    settled = SETTLED.search(told)
    assert settled is not None, told
    sent, stored, dead = map(int, settled.groups())
    assert sent == stored + dead
    assert sent > 400
    assert "first window readable after" in told
    assert "http://127.0.0.1:" in told


@pytest.mark.slow
def test_ctrl_c_ends_it_with_the_check() -> None:
    with demo() as process:
        read_until(process, "password")
        process.send_signal(signal.SIGINT)
        assert SETTLED.search(read_until(process, "dead-lettered"))
        assert process.wait(120) == 0


@pytest.mark.slow
def test_nothing_outlives_it_and_no_password_is_on_a_command_line() -> None:
    with demo() as process:
        told = read_until(process, "curl")
        below = descendants(process.pid)
        running = commands(below)
        assert len(running) > 5
        password = re.search(r"password +(\S+)", told)
        assert password is not None
        shown = b"\n".join(running.values())
        assert password[1].encode() not in shown
        assert b"DB_PASSWORD" not in shown
        process.kill()
        wait_until(lambda: not commands(below), 60, "every process is gone")


@pytest.mark.slow
def test_what_is_killed_is_started_again_and_every_event_is_accounted_for() -> None:
    with demo() as process:
        told = read_until(process, "# the API")
        pids = [int(found) for found in re.findall(r"kill -9 (\d+)", told)]
        assert len(pids) == 3
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        again = [read_until(process, "is started again") for _ in pids]
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert sorted(line for text in again for line in text.splitlines() if "started again" in line) == [
        f"stacklens {name} was killed: it is started again" for name in ("analytics", "api", "notifier")
    ]  # fmt: skip
    settled = SETTLED.search("".join(again) + rest)
    assert settled is not None, rest
    assert int(settled[1]) == int(settled[2]) + int(settled[3])


@pytest.mark.slow
def test_traffic_that_dies_is_told_with_its_log() -> None:
    with demo() as process:
        read_until(process, "curl")
        (traffic,) = [
            pid
            for pid, command in commands(descendants(process.pid)).items()
            if b"\0generate\0" in command and b"tether" not in command
        ]
        os.kill(traffic, signal.SIGKILL)
        told, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "stacklens generate ended by itself; the end of its log" in told


@pytest.mark.parametrize("seconds", ["soon", "-1", "0", "nan"])
def test_a_wrong_duration_is_told_at_once(seconds: str) -> None:
    with demo(DEMO_SECONDS=seconds) as process:
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "DEMO_SECONDS must be a number of seconds" in told
