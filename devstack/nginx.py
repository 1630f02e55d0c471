"""nginx out of Debian's packages, unpacked privately, for a test of our configuration; nothing of the stack needs it.

It brings its libraries and their loader with it, so that it does not matter how old this system is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devstack.cache import Part, Progress, locked
from devstack.debian import fetch_packages, require_apt, unpack
from devstack.errors import DevstackError, NotHereError

# Counts up when what is in the part changes: an old part is then left alone and a new one made.
PART_NAME = "nginx-1"
SUITE = "trixie"
# patchelf is what `unpack` works with.
PACKAGES = ("nginx", "nginx-common", "libc6", "patchelf")
# Debian's scripts, not the server.
NOT_NEEDED = ("debconf", "iproute2", "init-system-helpers", "lsb-base", "openssl", "perl", "ucf")
# The first version that knows `http2 on`.
OLDEST = (1, 25)


@dataclass(frozen=True, slots=True)
class Nginx:
    """The program and where its libraries are."""

    prefix: Path

    @property
    def command(self) -> list[str]:
        """What starts it, whatever the libraries of this system are."""
        loader = next(iter(sorted(self.prefix.glob("usr/lib*/**/ld-linux*.so.*"))), None)
        if loader is None:
            raise DevstackError(f"no program loader below {self.prefix}")
        return [str(loader), "--library-path", self._libraries, str(self.prefix / "usr/sbin/nginx")]

    @property
    def env(self) -> Mapping[str, str]:
        """Its environment: nothing of ours."""
        return {"LC_ALL": "C", "PATH": os.environ.get("PATH", "")}

    @property
    def mime_types(self) -> Path:
        """Debian's table of content types."""
        return self.prefix / "etc/nginx/mime.types"

    @property
    def _libraries(self) -> str:
        return ":".join(
            str(path) for path in self.prefix.glob("usr/lib/*-linux-gnu*") if path.is_dir()
        )


def fetch_nginx(cache: Path, progress: Progress) -> Nginx:
    """nginx, fetched now if it is not in the cache yet; several processes may ask at once.

    Raises NotHereError where it cannot be had or does not run, DevstackError when it is not what was expected.
    """
    part = Part(cache / PART_NAME)
    found = Nginx(part.path / "prefix")
    if part.ready:
        return found
    require_apt()
    with locked(cache, progress):
        if not part.ready:  # else whoever held the lock has just fetched it
            progress(f"fetching nginx into {cache} (once, 7 MB)")
            _make(part, found)
            progress("nginx is ready")
    return found


def _make(part: Part, found: Nginx) -> None:
    part.begin()
    # A name of its own: after a kill -9 an orphaned apt-get may still write to the last one.
    work = Path(tempfile.mkdtemp(prefix="download-", dir=part.path))
    unpack(fetch_packages(work, SUITE, PACKAGES, NOT_NEEDED), found.prefix)
    shutil.rmtree(work)
    _require_version(found)
    part.finish()


def _require_version(found: Nginx) -> None:
    try:
        done = subprocess.run(
            [*found.command, "-v"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=found.env,
        )
    except OSError as error:
        raise NotHereError(f"nginx does not run here: {error}") from error
    version = re.search(r"nginx/(\d+)\.(\d+)", done.stderr)
    if done.returncode != 0:
        raise NotHereError(f"nginx does not run here: {done.stderr.strip()[-300:]}")
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        raise DevstackError(f"nginx {'.'.join(map(str, OLDEST))} or newer is wanted: {done.stderr}")
