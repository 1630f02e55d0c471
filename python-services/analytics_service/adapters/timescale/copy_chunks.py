"""COPY from byte strings that are made one by one, each while the server reads the one before it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import chain

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor

# Each piece that is sent means waiting for Python's lock: a chunk goes in one.
_PIECE_BYTES = 1 << 23


def copy_in(cur: cursor, statement: sql.Composable, chunks: Iterable[memoryview | bytes]) -> None:
    """COPY ... FROM STDIN. Does not commit.

    Raises psycopg2 errors, and whatever making a chunk raised, as it is. The transaction has to be rolled back then.
    """
    file = _Chunks(iter(chunks))
    try:
        cur.copy_expert(statement, file, size=_PIECE_BYTES)
    except psycopg2.Error as error:
        # The server is told that the copy failed, and what it says about that is what psycopg2 raises.
        if file.failure is not None:
            raise file.failure from error
        raise


class _Chunks(io.RawIOBase):
    """A file over byte strings. The first is made at once: nothing is locked by a statement under way meanwhile."""

    def __init__(self, chunks: Iterator[memoryview | bytes]) -> None:
        super().__init__()
        first = next(chunks, b"")
        self._chunks = chain((first,), chunks)
        self._rest = memoryview(b"")
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end."""
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except Exception as failure:
                self.failure = failure
                raise
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        taken = self._rest[:size] if size >= 0 else self._rest
        self._rest = self._rest[len(taken) :]
        return bytes(taken)
