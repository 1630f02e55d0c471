"""The product's processes under a supervisor: chosen, killed, frozen, added and removed, and watched."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.worker_process import STOP_S, WorkerProcess

CHECK_S = 0.1
READING = "reading incarnation"
# What the product's log says when a fault has bitten, by the name of the figure.
MARKS = {
    "deadlocks": "deadlock detected",
    "lock timeouts": "due to lock timeout",
    "statement timeouts": "due to statement timeout",
    "disk full": "No space left on device",
    "sessions terminated": "due to administrator command",
    "offsets moved by another": "offsets were moved by another worker",
    "frozen flushes ended": "of workers that are frozen",
    "flushes tried again": "database trouble, trying again",
}


@dataclass
class Worker:
    """A worker and what is being done to it; `ending`: its end is on purpose."""

    number: int
    process: WorkerProcess
    role: str = "worker"
    busy: bool = False
    ending: bool = False

    @property
    def name(self) -> str:
        """As in the report."""
        return f"{self.role} {self.number}"

    @property
    def reading(self) -> bool:
        """Whether it has begun to read at least once: from then on it knows how to stop."""
        return READING in self.process.output


@dataclass
class Workers:
    """All workers of one run. An end that nobody asked for is noted, and another worker started."""

    env: Mapping[str, str]
    directory: Path
    say: Callable[[str], None]
    command: str = "analytics"
    all: list[Worker] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Workers:
        self._thread = threading.Thread(target=self._watch, name="workers' supervisor")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        for worker in self.all:
            worker.process.kill()

    def start(self) -> Worker:
        """One more worker."""
        with self._lock:
            number = len(self.all) + 1
            name = "worker" if self.command == "analytics" else self.command
            log = self.directory / f"{name}-{number}.log"
            worker = Worker(number, WorkerProcess(self.env, log, self.command), name)
            self.all.append(worker)
            return worker

    @contextlib.contextmanager
    def borrowed(
        self, target: int, *, reading: bool = False, pid: int | None = None
    ) -> Iterator[Worker | None]:
        """A running worker to which nothing else is being done meanwhile; None when there is none.

        With `reading` only those that have begun to read, with `pid` only that one.
        """
        with self._lock:
            free = [
                w for w in self.all if not w.busy and not w.ending and w.process.exit_code is None
            ]
            free = [w for w in free if w.reading or not reading]
            free = [w for w in free if pid in (None, w.process.pid)]
            worker = free[target % len(free)] if free else None
            if worker is not None:
                worker.busy = True
        try:
            yield worker
        finally:
            if worker is not None:
                worker.busy = False

    def kill(self, worker: Worker) -> None:
        """Kill -9."""
        worker.ending = True
        worker.process.kill()

    def remove(self, worker: Worker) -> str:
        """SIGTERM; an end that is late or not clean is a problem. Returns what happened."""
        worker.ending = True
        try:
            code = worker.process.terminate()
        except AssertionError:
            worker.process.kill()
            self._problem(f"{worker.name} did not end within {STOP_S:.0f} s of SIGTERM")
            return f"{worker.name} had to be killed"
        if code != 0:
            self._problem(f"{worker.name} ended with {code} after SIGTERM")
        return f"{worker.name} ended with {code}"

    def remove_all(self) -> None:
        """SIGTERM to every worker that runs, one after the other."""
        for worker in self.all:
            if not worker.ending:
                self.remove(worker)

    def marks(self) -> dict[str, int]:
        """How often each of MARKS stands in the logs."""
        texts = [worker.process.output for worker in self.all]
        return {name: sum(text.count(mark) for text in texts) for name, mark in MARKS.items()}

    def _watch(self) -> None:
        while not self._stopping.wait(CHECK_S):
            with self._lock:
                ended = [w for w in self.all if not w.ending and w.process.exit_code is not None]
                for worker in ended:
                    worker.ending = True
                    last = (worker.process.output.splitlines() or ["silence"])[-1]
                    code = worker.process.exit_code
                    self._problem(f"{worker.name} ended by itself with {code}: {last}")
                    self.start()

    def _problem(self, text: str) -> None:
        self.problems.append(text)
        self.say(f"PROBLEM: {text}")
