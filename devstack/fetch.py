"""Fill the cache: both downloads at once, with a line of progress every two seconds."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from devstack.broker import fetch_kafka, kafka_part
from devstack.cache import Part, Progress, default_directory, locked
from devstack.database import fetch_postgres, postgres_part
from devstack.debian import require_apt

SECONDS_BETWEEN_LINES = 2.0


@dataclass(frozen=True)
class Parts:
    """The two servers in the cache, complete."""

    kafka: Part
    postgres: Part


def fetch(cache_dir: Path | None, progress: Progress) -> Parts:
    """Return the two parts, downloading what is not in the cache yet.

    Several processes may ask at the same moment: one downloads, the others wait.
    """
    cache = cache_dir or default_directory()
    parts = Parts(kafka_part(cache), postgres_part(cache))
    if parts.kafka.ready and parts.postgres.ready:
        return parts
    if not parts.postgres.ready:
        require_apt()
    with locked(cache, progress):
        began = time.monotonic()
        with ThreadPoolExecutor(2) as pool:
            jobs: dict[str, tuple[Part, Future[None]]] = {}
            if not parts.kafka.ready:
                jobs["Kafka"] = (parts.kafka, pool.submit(fetch_kafka, parts.kafka))
            if not parts.postgres.ready:
                jobs["PostgreSQL"] = (parts.postgres, pool.submit(fetch_postgres, parts.postgres))
            if jobs:
                progress(f"fetching {' and '.join(jobs)} into {cache} (once)")
            _watch(jobs, progress)
        if jobs:
            progress(f"fetched in {time.monotonic() - began:.0f} s")
    return parts


def _watch(jobs: dict[str, tuple[Part, Future[None]]], progress: Progress) -> None:
    pending = {future for _, future in jobs.values()}
    while pending:
        finished, pending = wait(pending, SECONDS_BETWEEN_LINES, FIRST_EXCEPTION)
        for future in finished:
            future.result()
        if pending:
            sizes = (
                f"{name} {'ready' if future.done() else f'{_megabytes(part.path)} MB'}"
                for name, (part, future) in jobs.items()
            )
            progress("  " + ", ".join(sizes))


def _megabytes(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
        except OSError:
            continue  # moved away meanwhile
    return total // 1_000_000
