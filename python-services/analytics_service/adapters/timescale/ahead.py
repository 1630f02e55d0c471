"""Iterating in a thread of its own, ahead of whoever takes the items."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End:
    """No more items come, for this reason if there is one."""

    error: BaseException | None = None


class Ahead(Generic[T]):
    """The items of an iterator, in their order, at most `limit` of them made before they are taken.

    To be used as a context manager; at its end the iterator is not being advanced any more, whether all of its items
    were taken or not. What it raises is raised where its next item would have been taken.
    """

    def __init__(self, items: Iterator[T], limit: int) -> None:
        self._items = items
        self._made: SimpleQueue[T | _End] = SimpleQueue()
        self._room = threading.Semaphore(limit)
        self._is_over = False
        self._thread = threading.Thread(target=self._make, name="ahead", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except RuntimeError as error:
            # The system's fault, which is waited for, not the batch's.
            raise OSError(f"no thread to be had: {error}") from error
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over = True
        self._room.release()
        self._thread.join()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        item = self._made.get()
        if isinstance(item, _End):
            self._made.put(item)  # for whoever asks again
            if item.error is not None:
                raise item.error
            raise StopIteration
        self._room.release()
        return item

    def _make(self) -> None:
        try:
            while True:
                self._room.acquire()  # pylint: disable=consider-using-with  # given back by whoever takes
                if self._is_over:
                    return
                self._made.put(next(self._items))
        except StopIteration:
            self._made.put(_End())
        except BaseException as error:  # noqa: BLE001  # pylint: disable=broad-exception-caught  # handed on
            self._made.put(_End(error))
