"""Where the downloaded servers live: one directory, one lock, a mark on each finished part."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError
from devstack.process import Account

CACHE_VARIABLE = "STACKLENS_DEVSTACK_CACHE"
# Where the servers' data go while they run; unset: where temporary files go (TMPDIR).
DATA_VARIABLE = "STACKLENS_DEVSTACK_DATA"
SYSTEM_CACHE = Path("/var/cache/stacklens-devstack")
READY = ".ready"

Progress = Callable[[str], None]


def server_account() -> Account:
    """Whom the database server runs as: PostgreSQL refuses root, so root becomes nobody."""
    if os.geteuid() != 0:
        return Account()
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def default_directory() -> Path:
    """The cache of this user; root's is not under a home that the server could not enter."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).absolute()
    if os.geteuid() == 0:
        return SYSTEM_CACHE
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base).absolute() / "stacklens-devstack"


def require_reachable(path: Path, variable: str) -> None:
    """Refuse a directory that the database's own user cannot enter (root only)."""
    if server_account().uid is None:
        return
    for part in (path, *path.parents):
        if not part.stat().st_mode & 0o001:
            raise DevstackError(
                f"{part} cannot be entered by other users, and started by root the database "
                f"server runs as another user: name another directory with {variable}"
            )


@dataclass(frozen=True)
class Part:
    """One downloaded server: usable when its mark is there, made anew otherwise."""

    path: Path

    @property
    def ready(self) -> bool:
        """Whether the part is complete."""
        return (self.path / READY).exists()

    def begin(self) -> None:
        """Throw away what an interrupted download left, and start empty."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)

    def finish(self) -> None:
        """Mark the part as complete: the last thing that is written."""
        (self.path / READY).touch()


@contextlib.contextmanager
def locked(directory: Path, progress: Progress) -> Iterator[None]:
    """Hold the cache's one lock; say so when somebody else holds it first."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = (directory / "lock").open("w")
    except OSError as error:
        raise DevstackError(
            f"the cache {directory} cannot be written ({error.strerror}): "
            f"name another directory with {CACHE_VARIABLE}"
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another process that is filling {directory}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
