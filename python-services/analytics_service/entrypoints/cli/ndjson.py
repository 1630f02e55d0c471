"""Reading newline-delimited values from a file, gzip file or standard input, in blocks of lines."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Self

from analytics_service.entrypoints.cli.errors import CommandFailed

STDIN = "-"
BLOCK_BYTES = 1024 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024  # beyond it this is no NDJSON; memory stays bounded
_GZIP_MAGIC = b"\x1f\x8b"


class NdjsonSource:
    """Lines of one input; use as a context manager.

    Compression is told by the first two bytes, not by the name. `position` is how far the input as
    it is stored has been read, `size` its length (None for a pipe); `empty_lines` were skipped.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._stack = ExitStack()
        self._stored: BinaryIO | None = None
        self._plain: BinaryIO | gzip.GzipFile | None = None
        self.size: int | None = None
        self.empty_lines = 0

    def __enter__(self) -> Self:
        if self._name == STDIN:
            stored = sys.stdin.buffer
        else:
            stored = self._stack.enter_context(Path(self._name).open("rb", buffering=BLOCK_BYTES))
            self.size = os.fstat(stored.fileno()).st_size or None
        self._stored = self._plain = stored
        if isinstance(stored, io.BufferedReader) and stored.peek(2)[:2] == _GZIP_MAGIC:
            self._plain = self._stack.enter_context(gzip.GzipFile(fileobj=stored))
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @property
    def position(self) -> int:
        """Bytes of the stored input read so far; 0 for a pipe."""
        return self._stored.tell() if self._stored is not None and self.size is not None else 0

    def blocks(self) -> Iterator[list[bytes]]:
        """Lists of lines, terminators (LF or CRLF) and empty lines removed.

        A pipe's lines come as they arrive. Raises CommandFailed for a damaged gzip file or a line
        beyond 64 MiB.
        """
        rest = b""
        for block in self._raw_blocks():
            lines = (rest + block).split(b"\n") if rest else block.split(b"\n")
            rest = lines.pop()
            if len(rest) > MAX_LINE_BYTES:
                raise CommandFailed(f"{self._name}: a line is longer than {MAX_LINE_BYTES} bytes")
            if lines:
                yield self._clean(lines)
        if rest:
            yield self._clean([rest])

    def _raw_blocks(self) -> Iterator[bytes]:
        assert self._plain is not None
        read = self._plain.read1 if isinstance(self._plain, io.BufferedReader) else self._plain.read
        try:
            while block := read(BLOCK_BYTES):
                yield block
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CommandFailed(f"{self._name}: damaged gzip data: {error}") from error

    def _clean(self, lines: list[bytes]) -> list[bytes]:
        kept = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        kept = [line for line in kept if line]
        self.empty_lines += len(lines) - len(kept)
        return kept
