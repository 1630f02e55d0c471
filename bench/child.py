"""A child process whose output is watched; ended by its own id."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bench.errors import ChildError

KEPT_LINES: Final = 60
SECONDS_TO_END: Final = 25.0


class Child:
    """Runs a command; use as a context manager.

    `markers`: texts to look out for in its output. `started_at`: the epoch time just before it was started.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        directory: Path,
        markers: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._seen: dict[str, tuple[float, str]] = {}
        self._markers = tuple(markers)
        self._changed = threading.Condition()
        self.started_at = time.time()
        self._process = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name=f"{name} output", daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def wait_for(
        self,
        marker: str,
        deadline_s: float,
        meanwhile: Callable[[str], None] = lambda _line: None,
    ) -> tuple[float, str]:
        """When (epoch) the first line with `marker`, one of the markers, was read, and that line.

        `meanwhile` is called with the last line again and again. Raises ChildError when no such line comes.
        """
        end = time.monotonic() + deadline_s
        with self._changed:
            while marker not in self._seen:
                left = end - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    raise self.trouble(f"did not say {marker!r} within {deadline_s:g} s")
                meanwhile(self._lines[-1] if self._lines else "")
                self._changed.wait(min(left, 0.5))
            return self._seen[marker]

    def check(self) -> None:
        """ChildError when the child has ended."""
        if self._process.poll() is not None:
            raise self.trouble(f"ended with exit status {self._process.returncode}")

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def finish(self, deadline_s: float) -> int:
        """Wait until the child ends by itself; its exit status. ChildError when it does not."""
        try:
            return self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise self.trouble(f"did not end within {deadline_s:g} s") from None

    def stop(self) -> int:
        """SIGTERM, after 25 s SIGKILL; the exit status."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return self._process.returncode

    def trouble(self, what: str) -> ChildError:
        """An error that shows the child's last lines."""
        said = "".join(f"\n    {line}" for line in self._lines) or " nothing"
        return ChildError(f"{self.name} {what}; it said:{said}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                for marker in self._markers:
                    if marker in line:
                        self._seen.setdefault(marker, (time.time(), line.rstrip("\n")))
                self._changed.notify_all()
