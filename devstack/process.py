"""A server process under guard: it never outlives the process that started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devstack.errors import DevstackError

GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True)
class Account:
    """Whom a server runs as; `None` where it is whoever we are."""

    uid: int | None = None
    gid: int | None = None


@dataclass
class GuardedProcess:
    """One server: `start`, `stop` (politely), `kill` (-9), `close` (with its data).

    Everything that is the server's own is in `directory`, its log too.
    `end_signal` is the one that ends the server at once when nobody needs its data any more.
    """

    name: str
    argv: Sequence[str]
    directory: Path
    env: Mapping[str, str]
    end_signal: signal.Signals
    stop_signal: signal.Signals
    account: Account = field(default_factory=Account)
    _guard: subprocess.Popen[bytes] | None = None
    _pid: int | None = None

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.directory / "server.log"

    @property
    def pid(self) -> int | None:
        """The server's own process id, `None` while it is not running."""
        return self._pid if self.running else None

    @property
    def running(self) -> bool:
        """Whether the server is there (it may not answer yet)."""
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> None:
        """Start the server and return at once; does nothing when it runs already."""
        if self.running:
            return
        spec = {
            "argv": list(self.argv),
            "log": str(self.log),
            "env": dict(self.env),
            "cwd": "/",
            "uid": self.account.uid,
            "gid": self.account.gid,
            "end_signal": int(self.end_signal),
            "directory": str(self.directory),
        }
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        self._guard.stdout.close()
        if not line.strip():
            raise DevstackError(f"{self.name} did not start: {self.argv[0]}")
        self._pid = int(line)

    def stop(self, timeout_s: float = 30.0) -> None:
        """Ask the server to end, keep its data; `start` brings it back on the same port."""
        self._signal_and_wait(self.stop_signal, timeout_s)

    def kill(self, timeout_s: float = 30.0) -> None:
        """Kill -9: a crash; the data stay as the crash left them."""
        self._signal_and_wait(signal.SIGKILL, timeout_s)

    def close(self) -> None:
        """End the server for good: at once, and its data are removed."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()
        self._guard = None

    def wait_until_answering(self, answers: Callable[[], bool], timeout_s: float) -> None:
        """Poll `answers` until true; the server's end or the deadline raise DevstackError."""
        for _ in range(int(timeout_s / 0.05)):
            if answers():
                return
            assert self._guard is not None
            try:
                status = self._guard.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            raise DevstackError(f"{self.name} ended with status {status}:\n{self.log_tail()}")
        raise DevstackError(f"{self.name} did not answer in {timeout_s:.0f} s:\n{self.log_tail()}")

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the server's log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    def _signal_and_wait(self, number: signal.Signals, timeout_s: float) -> None:
        if self._guard is None or self._pid is None or not self.running:
            return
        os.kill(self._pid, number)
        try:
            self._guard.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.kill(self._pid, signal.SIGKILL)
            self._guard.wait()
