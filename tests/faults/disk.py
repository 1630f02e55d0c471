"""A small disk for the database: memory mounted in a namespace of our own, filled by a ballast file."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

CLONE_NEWNS = 0x00020000
LARGEST_PIECE = 64 << 20
SMALLEST_PIECE = 16 << 10


class NoSmallDisk(Exception):
    """Why there is no small disk on this machine."""


class SmallDisk:
    """A mounted file system of limited size."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ballast = directory / "ballast"

    def fill(self) -> int:
        """Leave (nearly) no room; the bytes taken."""
        size, piece = 0, LARGEST_PIECE
        with self._ballast.open("wb") as file:
            while piece >= SMALLEST_PIECE:
                try:
                    os.posix_fallocate(file.fileno(), size, piece)
                    size += piece
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= (
                        2  # the server writes meanwhile: what was free a moment ago may not be
                    )
        return size

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """A disk of that size, gone with this process however it ends. Raises NoSmallDisk with the reason.

    To be called before other threads are started: only this thread and what it starts see the mount.
    """
    if os.geteuid() != 0:
        raise NoSmallDisk("only root can mount one")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise NoSmallDisk(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    with tempfile.TemporaryDirectory(prefix="stacklens-disk-") as name:
        Path(name).chmod(0o711)
        mounted = Path(name) / "disk"
        mounted.mkdir()
        _mount("--make-rprivate", "/")
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", str(mounted))
        try:
            yield SmallDisk(mounted)
        finally:
            subprocess.run(["umount", "--lazy", str(mounted)], check=False, capture_output=True)


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    except OSError as error:
        raise NoSmallDisk(f"mount: {error.strerror}") from error
    if done.returncode != 0:
        raise NoSmallDisk(f"mount: {done.stderr.strip()}")
