"""PostgreSQL 15, the oldest that is supported, for the tests of the schema: Debian bookworm's packages.

Debian has no TimescaleDB for it. It is built from the source package of the next release, under the Apache licence,
against the unpacked headers: half a minute, once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from devstack.cache import CACHE_VARIABLE, Part, Progress, locked, require_reachable
from devstack.database import make_template
from devstack.debian import NOT_NEEDED, fetch_packages, fetch_source, require_apt, unpack
from devstack.errors import DevstackError, NotHereError

PART_NAME = "postgresql-15-timescaledb-1"
SUITE = "bookworm"
PACKAGES = ("postgresql-15", "postgresql-client-15", "postgresql-server-dev-15", "patchelf")
# The compiler of the machine is used, and nothing is compiled for the just-in-time compiler.
NOT_NEEDED_HERE = (
    *NOT_NEEDED,
    *("libllvm14", "llvm-14", "llvm-14-dev", "clang", "clang-14", "libz3-dev", "dh-exec"),
    *("debhelper", "dpkg-dev", "make", "gcc", "g++", "libc6-dev"),
)
SOURCE_SUITE, SOURCE = "trixie", "timescaledb"
TOOLS = ("cmake", "cc", "make")


def fetch_postgres15(cache: Path, progress: Progress) -> Part:
    """The part with PostgreSQL 15, made now if it is not in the cache yet.

    Raises NotHereError where the tools for it are missing, DevstackError when it cannot be built.
    """
    part = Part(cache / PART_NAME)
    if part.ready:
        return part
    require_apt()
    _require_tools()
    with locked(cache, progress):
        if not part.ready:
            require_reachable(cache, CACHE_VARIABLE)
            progress(f"building TimescaleDB for PostgreSQL 15 in {cache} (once)")
            _make(part)
            progress("PostgreSQL 15 is ready")
    return part


def _require_tools() -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise NotHereError(
            f"there is no {missing[0]} here, and TimescaleDB for PostgreSQL 15 has to be built: "
            "apt-get install -y cmake gcc make libc6-dev"
        )


def _make(part: Part) -> None:
    part.begin()
    # A name of its own: after a kill -9 an orphaned apt-get may still write to the last one.
    work = Path(tempfile.mkdtemp(prefix="download-", dir=part.path))
    prefix = part.path / "prefix"
    unpack(fetch_packages(work, SUITE, PACKAGES, NOT_NEEDED_HERE), prefix)
    with tarfile.open(fetch_source(work, SOURCE_SUITE, SOURCE)) as archive:
        # Pythons before 3.11.4, Debian 12's among them, know no filters; apt-get has checked where this comes from.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        archive.extractall(work / "unpacked")
    (source,) = (work / "unpacked").iterdir()
    _build(source, work / "build", prefix)
    shutil.rmtree(work)
    make_template(part)
    part.finish()


def _build(source: Path, build: Path, prefix: Path) -> None:
    headers = [prefix / "usr/include", *prefix.glob("usr/include/*-linux-gnu*")]
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "PG_CONFIG": next(prefix.glob("usr/lib/postgresql/*/bin/pg_config")),
        "CMAKE_C_FLAGS": " ".join(f"-isystem {path}" for path in headers),
        "APACHE_ONLY": "1",
        "USE_OPENSSL": "0",
        "USE_TELEMETRY": "OFF",
        "SEND_TELEMETRY_DEFAULT": "OFF",
        "REGRESS_CHECKS": "OFF",
        "TAP_CHECKS": "OFF",
        "WARNINGS_AS_ERRORS": "OFF",
        "GENERATE_DOWNGRADE_SCRIPT": "OFF",
    }
    defined = [f"-D{name}={value}" for name, value in options.items()]
    _run("cmake", "-S", source, "-B", build, *defined)
    _run("make", "-C", build, f"-j{os.cpu_count() or 1}")
    _run("make", "-C", build, "install")


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        [str(each) for each in command],
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-1500:]
        raise DevstackError(f"TimescaleDB for PostgreSQL 15: {command[0]} failed:\n{said}")
