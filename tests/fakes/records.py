"""What a fake was sent, as a list that threads share, and files of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TextIO, TypeVar


class Recorded(Protocol):
    """Something that a fake was sent."""

    @property
    def summary(self) -> str:
        """One line about it."""

    def as_json(self) -> dict[str, Any]:
        """Everything about it."""


R = TypeVar("R", bound=Recorded)
Listener = Callable[[Recorded], None]


class Records(Generic[R]):
    """Grows at its end; whoever waits is woken."""

    def __init__(self, listener: Listener | None = None) -> None:
        self._all: list[R] = []
        self._changed = threading.Condition()
        self._listener = listener

    def add(self, record: R) -> None:
        """Put another one at the end."""
        with self._changed:
            self._all.append(record)
            self._changed.notify_all()
        if self._listener is not None:
            self._listener(record)

    @property
    def all(self) -> list[R]:
        """A copy of everything so far."""
        with self._changed:
            return list(self._all)

    def wait(self, count: int, deadline_s: float) -> list[R]:
        """Everything, as soon as there are `count`; AssertionError after `deadline_s` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._all) >= count, deadline_s):
                raise AssertionError(
                    f"waited {deadline_s:g} s for {count} records, there are {len(self._all)}: {self._all!r}"
                )
            return list(self._all)

    def clear(self) -> None:
        """Forget everything."""
        with self._changed:
            self._all.clear()

    def __len__(self) -> int:
        return len(self.all)


class Diary:
    """A listener for people: a line a record on the screen, a JSON object a line in a file."""

    def __init__(self, output: TextIO | None) -> None:
        self._output = output
        self._lock = threading.Lock()

    def __call__(self, record: Recorded) -> None:
        with self._lock:
            print(f"{time.strftime('%H:%M:%S')} {record.summary}", flush=True)
            if self._output is not None:
                self._output.write(json.dumps(record.as_json()) + "\n")
                self._output.flush()
