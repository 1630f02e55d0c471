"""A process of the demo: its log in a file, ended politely, and never left behind.

Not `devstack.process`: that puts the environment on a command line, where every user of the machine
can read the passwords in it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from devstack.errors import DevstackError

TETHER = Path(__file__).with_name("tether.py")
STOP_S = 25.0


class DemoProcess:
    """One command. `orphan_signal` is what it gets when this process dies without stopping it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        orphan_signal: signal.Signals,
    ) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid())]
        self._command += [str(int(orphan_signal)), *command]
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id; None: it was not started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C on the terminal is the demo's business."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._env,
                cwd="/",  # no .env file of the checkout meddles
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to it and its children if it does not end within 25 s."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def restart_if_killed(self) -> bool:
        """Start it again if somebody ended it: by a signal, or politely so that it left without complaint.

        Returns whether that was so. Raises DevstackError when it ended by itself.
        """
        # Looked at once: it may end at any time.
        status = None if self._process is None else self._process.poll()
        if status is None:
            return False
        if status > 0:
            raise self._ended()
        self.start()
        return True

    def expect_alive(self) -> None:
        """Raise DevstackError with the end of the log when it is gone."""
        if not self.running:
            raise self._ended()

    def _ended(self) -> DevstackError:
        return DevstackError(
            f"{self.name} ended by itself; the end of its log {self.log}:\n{self.log_tail()}"
        )

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else "(no log)"
        return "\n".join(text.splitlines()[-lines:])
