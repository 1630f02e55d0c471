"""promtool, Prometheus' own evaluator of alert rules, for a test of ours: one program out of a Debian package.

Nothing of the stack needs it, so it is no part of `make setup`: whoever asks first waits for 16 MB.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from devstack.cache import Part, Progress, locked
from devstack.debian import fetch_packages, require_apt
from devstack.errors import DevstackError, NotHereError

# Counts up when what is in the part changes: an old part is then left alone and a new one made.
PART_NAME = "promtool-1"
SUITE = "trixie"
PACKAGE = "promtool"
# The C library of every system with Python 3.11 will do: promtool wants glibc 2.34.
NOT_NEEDED_HERE = ("libc6",)
OLDEST = (2, 42)
"""The first version whose rules have `keep_firing_for`."""


def fetch_promtool(cache: Path, progress: Progress) -> Path:
    """The program, fetched now if it is not in the cache yet; several processes may ask at once.

    Raises NotHereError where it cannot be had or does not run, DevstackError when it is not what was expected.
    """
    part = Part(cache / PART_NAME)
    program = part.path / PACKAGE
    if part.ready:
        return program
    require_apt()
    with locked(cache, progress):
        if not part.ready:  # else whoever held the lock has just fetched it
            progress(f"fetching promtool into {cache} (once, 16 MB)")
            _make(part, program)
            progress("promtool is ready")
    return program


def _make(part: Part, program: Path) -> None:
    part.begin()
    # A name of its own: after a kill -9 an orphaned apt-get may still write to the last one.
    work = Path(tempfile.mkdtemp(prefix="download-", dir=part.path))
    for package in fetch_packages(work, SUITE, (PACKAGE,), NOT_NEEDED_HERE):
        _output("dpkg-deb", "-x", package, work / "unpacked")
    shutil.move(work / "unpacked/usr/bin" / PACKAGE, program)
    shutil.rmtree(work)
    _require_version(program)
    part.finish()


def _require_version(program: Path) -> None:
    try:
        said = _output(program, "--version")
    except (OSError, DevstackError) as error:
        raise NotHereError(f"promtool does not run here: {error}") from error
    found = re.search(r"version (\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        raise DevstackError(f"promtool {'.'.join(map(str, OLDEST))} or newer is wanted: {said}")


def _output(*command: str | Path) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DevstackError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
