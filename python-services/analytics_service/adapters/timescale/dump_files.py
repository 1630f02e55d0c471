"""Files with a dump in plain SQL: written by `pg_dump`, with gzip or without, and whether they are whole."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from analytics_service.adapters.timescale.errors import BackupError

CHUNK = 1 << 20
HEAD = 64 * 1024
TAIL = 64 * 1024
START_MARK = b"-- PostgreSQL database dump\n"
END_MARK = b"\n-- PostgreSQL database dump complete\n"
NOTE = b"-- StackLens backup: "
GZIP_MAGIC = b"\x1f\x8b"
CUSTOM_MAGIC = b"PGDMP"

Watch = Callable[[int], None]
"""Told from time to time how many bytes of the file have been worked through."""


@dataclass(frozen=True, slots=True)
class Note:
    """What `stacklens backup` writes behind a dump; empty for a plain `pg_dump`."""

    values: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> dict[str, int] | None:
        """Rows by table at the moment of the dump; None when nobody counted them."""
        counted = self.values.get("rows")
        return {str(name): int(n) for name, n in counted.items()} if counted else None


def append_note(path: Path, values: dict[str, Any]) -> None:
    """Write a comment behind a gzip dump, as a gzip member of its own: `zcat` shows both."""
    line = NOTE + json.dumps(values, sort_keys=True).encode() + b"\n"
    with path.open("ab") as file:
        file.write(gzip.compress(line))


def read_dump(path: Path, watch: Watch) -> Iterator[bytes]:
    """The SQL of a dump in pieces. Raises BackupError when the file is damaged, OSError when unreadable."""
    with path.open("rb") as raw:
        compressed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        raw.seek(0)
        source: BinaryIO = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if compressed else raw
        try:
            while piece := source.read(CHUNK):
                yield piece
                watch(raw.tell())
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BackupError(f"{path} is damaged: {error}") from error


def check_dump(path: Path, watch: Watch) -> Note:
    """Read a dump from end to end: it must be whole, and one that may be fed to `psql`.

    Returns what was noted behind it. Raises BackupError otherwise.
    """
    head, tail = b"", b""
    for piece in read_dump(path, watch):
        if len(head) < HEAD:
            head += piece[: HEAD - len(head)]
        tail = (tail + piece)[-TAIL:]
    _check_head(path, head)
    if END_MARK not in tail:
        raise BackupError(f"{path} is cut short: pg_dump's last line is missing")
    return _note_in(tail)


def _check_head(path: Path, head: bytes) -> None:
    if head.startswith(CUSTOM_MAGIC):
        raise BackupError(
            f"{path} is in pg_dump's custom format: this takes plain SQL (pg_dump without -F)"
        )
    if START_MARK not in head:
        raise BackupError(f"{path} is no dump: pg_dump's first line is missing")
    if any(line.startswith((b"\\connect", b"\\c ")) for line in head.splitlines()):
        raise BackupError(
            f"{path} was made with pg_dump --create and would go into a database of its own choice: "
            "feed it to psql by hand"
        )


def _note_in(tail: bytes) -> Note:
    last = tail.splitlines()[-1]
    if not last.startswith(NOTE):
        return Note()
    try:
        values = json.loads(last.removeprefix(NOTE))
    except ValueError as error:
        raise BackupError(f"what was noted behind the dump cannot be read: {error}") from error
    return Note(values)
