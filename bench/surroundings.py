"""What a figure was measured on: machine, versions, settings that matter."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench.errors import UnsafeDatabase
from bench.site import Site
from devstack.jars import ENDPOINTS

PACKAGES: Final = (
    "faust-streaming", "aiokafka", "kafka-python", "psycopg2-binary", "msgspec", "numpy", "datasketches", "pyarrow",
)  # fmt: skip
DATABASE_SETTINGS: Final = (
    "fsync", "full_page_writes", "wal_compression", "shared_buffers", "max_wal_size", "checkpoint_timeout", "jit",
    "timescaledb.license",
)  # fmt: skip


def describe(site: Site) -> dict[str, Any]:
    """Machine, versions and database settings. Raises UnsafeDatabase when fsync is off."""
    return {
        "machine": {
            "cpu": _cpu_model(),
            "cpus": len(os.sched_getaffinity(0)),
            "memory_gib": round(
                os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1
            ),
            "system": f"{platform.system()} {platform.release()}",
            "load_at_start": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
            "kafka": ENDPOINTS[0].rpartition(":")[2] if site.stack.kafka else "own servers",
            **_database_versions(site),
        },
        "database": _database_settings(site),
    }


def sentences(found: dict[str, Any]) -> str:
    """The same in a few lines for people."""
    lines = []
    for name, values in found.items():
        lines.append(f"{name}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
    return "\n".join(lines)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _database_versions(site: Site) -> dict[str, str]:
    conn = site.connect(site.stack.db_name)
    with conn.cursor() as cur:
        cur.execute(
            """
            SELECT current_setting('server_version'),
                (SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb')
            """
        )
        row = cur.fetchone()
    conn.close()
    assert row is not None
    return {"postgresql": str(row[0]).split()[0], "timescaledb": str(row[1])}


def _database_settings(site: Site) -> dict[str, str]:
    conn = site.connect(site.stack.db_name)
    with conn.cursor() as cur:
        cur.execute(
            "SELECT name, coalesce(current_setting(name, true), 'unset') FROM unnest(%s) AS name",
            (list(DATABASE_SETTINGS),),
        )
        found = dict(cur.fetchall())
    conn.close()
    if found["fsync"] != "on":
        raise UnsafeDatabase("the database runs with fsync off: nothing is measured on it")
    return found
