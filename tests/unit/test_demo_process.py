"""A process of the demo that ends, one way or the other."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstack.demo_process import DemoProcess
from devstack.errors import DevstackError
from tests.waiting import wait_until

WAITS = "import sys, time; print('there', flush=True); time.sleep(600)"
FAILS = "import sys; print('no such table', flush=True); sys.exit(3)"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[[str], DemoProcess]]:
    """Start a program as a process of the demo; stopped at the end."""
    processes = []

    def make(program: str) -> DemoProcess:
        command = [sys.executable, "-c", program]
        log = tmp_path / "process.log"
        process = DemoProcess("the process", command, os.environ, log, signal.SIGKILL)
        processes.append(process)
        process.start()
        wait_until(lambda: log.exists() and log.read_text(), 60, "it has come so far")
        return process

    yield make
    for process in processes:
        process.stop()


def test_one_that_runs_is_left_alone(made: Callable[[str], DemoProcess]) -> None:
    process = made(WAITS)
    pid = process.pid
    assert not process.restart_if_killed()
    assert process.pid == pid
    process.expect_alive()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_one_that_was_killed_is_started_again(
    made: Callable[[str], DemoProcess], number: signal.Signals
) -> None:
    process = made(WAITS)
    pid = process.pid
    assert pid is not None
    os.kill(pid, number)
    wait_until(process.restart_if_killed, 60, "it is started again")
    assert process.running
    assert process.pid != pid


def test_one_that_ended_by_itself_is_told_with_its_log(made: Callable[[str], DemoProcess]) -> None:
    process = made(FAILS)
    wait_until(lambda: not process.running, 60, "it ends")
    for look in (process.restart_if_killed, process.expect_alive):
        with pytest.raises(DevstackError, match=r"(?s)the process ended by itself.*no such table"):
            look()
