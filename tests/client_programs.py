"""Where PostgreSQL's own programs for a test's server are."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.api import Stack
from devstack.cache import default_directory
from tests.databases import maintenance

DISTRIBUTION = Path("/usr/lib/postgresql")


def client_directory(server: Stack) -> Path:
    """The directory with `pg_dump`, `psql`, `createdb` of the server's version; skips where there is none."""
    ((number,),) = maintenance(server).rows("SHOW server_version_num")
    major = int(number) // 10_000
    places = [
        *default_directory().glob(
            f"postgresql-{major}-timescaledb-*/prefix/usr/lib/postgresql/{major}/bin"
        ),
        DISTRIBUTION / str(major) / "bin",
    ]
    for place in places:
        if (place / "pg_dump").exists() and (place / "psql").exists():
            return place
    pytest.skip(f"there is no pg_dump of PostgreSQL {major} on this machine")
