"""Broker and database as a supervisor keeps them: killed at will, brought back on the same data and ports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from devstack.errors import DevstackError
from devstack.process import GuardedProcess
from tests.waiting import wait_until

CHECK_S = 0.2
START_AGAIN_S = 0.5
BACK_S = 90.0


class KeptServer:
    """One server under a supervisor that starts it again whenever it ends, on purpose or not."""

    def __init__(
        self,
        server: GuardedProcess,
        wait_until_ready: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self.server = server
        self.ended_by_itself = 0
        self._wait_until_ready = wait_until_ready
        self._say = say
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keeper of {server.name}")

    def __enter__(self) -> KeptServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def kill(self, down_s: float) -> float:
        """Kill -9, start again after `down_s`; returns the moment (monotonic) at which it answers again."""
        with self._lock:
            self.server.kill()
            self._stopping.wait(down_s)
            return self._start()

    def wait_up(self) -> float:
        """Return once it answers; the moment of that."""
        wait_until(lambda: self.server.running, BACK_S, f"{self.server.name} runs")
        with self._lock:
            return self._start()

    def _start(self) -> float:
        """Start until it stays: just after a crash the last one's processes may still be on their way out."""
        deadline = time.monotonic() + BACK_S
        while True:
            self.server.start()
            try:
                self._wait_until_ready()
                return time.monotonic()
            except DevstackError as error:
                if time.monotonic() > deadline:
                    raise
                self._say(f"{self.server.name} does not start yet: {str(error).splitlines()[0]}")
                self._stopping.wait(START_AGAIN_S)

    def _keep(self) -> None:
        while not self._stopping.wait(CHECK_S):
            if self.server.running or not self._lock.acquire(blocking=False):
                continue
            try:
                if not self.server.running:
                    self.ended_by_itself += 1
                    self._say(f"{self.server.name} ended by itself and is started again")
                    self.server.start()
                    self._stopping.wait(START_AGAIN_S)
            except DevstackError as error:
                self._say(f"{self.server.name}: {error}")
            finally:
                self._lock.release()
