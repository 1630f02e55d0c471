"""Analytics workers as processes: started, watched, frozen, ended and killed by their own pid."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.waiting import wait_until

STACKLENS = Path(sys.executable).with_name("stacklens")
START_S = 90.0
STOP_S = 20.0  # what the contract grants to an orderly end
_PORT = re.compile(r"health and metrics on port (\d+)")


@dataclass(frozen=True)
class Answer:
    """Status and body of a GET request."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)


class WorkerProcess:
    """One `stacklens analytics`, or another process with health and metrics; its output goes to `log`."""

    def __init__(self, env: Mapping[str, str], log: Path, command: str = "analytics") -> None:
        self.log = log
        self._port: int | None = None
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [STACKLENS, command],
                env={**os.environ, **env},
                cwd=log.parent,  # away from any .env file
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the number of the signal that killed it."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(errors="replace")

    @property
    def port(self) -> int:
        """Where health and metrics are; waits until the log says so."""
        if self._port is None:
            found = wait_until(lambda: _PORT.findall(self._live_output()), START_S, "a port")
            self._port = int(found[0])
        return self._port

    def get(self, path: str) -> Answer:
        """One GET request to its health server."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response.status, response.read())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        families = text_string_to_metric_families(self.get("/metrics").body.decode())
        samples = [sample for family in families for sample in family.samples]
        return sum(
            sample.value
            for sample in samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def expect(self, value: float, name: str, **labels: str) -> None:
        """A metric's sum comes to be `value`: a commit is seen before the worker has counted it."""
        wait_until(
            lambda: self.metric(name, **labels) == value, START_S, f"{name} {labels} is {value}"
        )

    def wait_ready(self, deadline_s: float = START_S) -> WorkerProcess:
        """Return once /health/ready is 200."""
        wait_until(self._is_ready, deadline_s, "the worker becomes ready")
        return self

    def wait_for_line(self, text: str, deadline_s: float = START_S) -> None:
        """Return once the log holds `text`."""
        wait_until(lambda: text in self._live_output(), deadline_s, f"{text!r} in the log")

    def wait_exit(self, deadline_s: float) -> int:
        """The exit code, once it has ended by itself."""
        wait_until(lambda: self.exit_code is not None, deadline_s, "the worker ends")
        return self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; the exit code, which must come within the contract's time."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait_exit(STOP_S)

    def kill(self) -> None:
        """SIGKILL: a crash."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: nothing runs until `thaw`."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def _live_output(self) -> str:
        output = self.output
        assert self.exit_code is None, f"the worker ended with {self.exit_code}:\n{output}"
        return output

    def _is_ready(self) -> bool:
        self._live_output()
        try:
            return self.get("/health/ready").status == 200
        except (OSError, http.client.HTTPException):
            return False


def wait_stored(workers: Sequence[WorkerProcess], count: int) -> None:
    """The workers together have counted so many events as stored."""
    wait_until(
        lambda: sum(each.metric("stacklens_events_stored_total") for each in workers) == count,
        START_S,
        f"{count} events are counted",
    )


@contextlib.contextmanager
def worker_processes(directory: Path) -> Iterator[list[WorkerProcess]]:
    """A list for workers: those still running are killed at the end, and all logs printed.

    pytest shows what a failed test has printed, and only then.
    """
    workers: list[WorkerProcess] = []
    directory.mkdir(parents=True, exist_ok=True)
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            print(f"--- {worker.log.name}, exit code {worker.exit_code}")
            print(worker.output)
