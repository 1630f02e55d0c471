"""Fill the cache: both downloads at once, with a line of progress every two seconds."""

from __future__ import annotations

import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from devstack.broker import fetch_kafka, kafka_part
from devstack.cache import (
    CACHE_VARIABLE,
    Part,
    Progress,
    default_directory,
    locked,
    require_reachable,
)
from devstack.database import fetch_postgres, postgres_part
from devstack.debian import require_apt
from devstack.java import ahead_of_time_cache
from devstack.training import train

SECONDS_BETWEEN_LINES = 2.0


@dataclass(frozen=True)
class Parts:
    """The two servers in the cache, complete."""

    kafka: Part
    postgres: Part

    @property
    def ready(self) -> bool:
        """Whether nothing is left to do."""
        return self.kafka.ready and self.postgres.ready and ahead_of_time_cache(self.kafka).exists()


def fetch(cache_dir: Path | None, progress: Progress) -> Parts:
    """Return the two parts, downloading what is not in the cache yet.

    Several processes may ask at the same moment: one downloads, the others wait.
    """
    cache = cache_dir or default_directory()
    parts = Parts(kafka_part(cache), postgres_part(cache))
    if parts.ready:
        return parts
    if not parts.postgres.ready:
        require_apt()
    with locked(cache, progress):
        if parts.ready:  # whoever held the lock has just made them
            return parts
        require_reachable(cache, CACHE_VARIABLE)
        began = time.monotonic()
        progress(f"preparing Kafka and PostgreSQL in {cache} (once)")
        with ThreadPoolExecutor(2) as pool:
            jobs = {
                "Kafka": (parts.kafka, pool.submit(_make_kafka, parts.kafka)),
                "PostgreSQL": (parts.postgres, pool.submit(_make_postgres, parts.postgres)),
            }
            _watch(jobs, progress)
        progress(f"ready after {time.monotonic() - began:.0f} s")
    return parts


def _make_kafka(part: Part) -> None:
    if not part.ready:
        fetch_kafka(part)
    if not ahead_of_time_cache(part).exists():
        train(part)


def _make_postgres(part: Part) -> None:
    if not part.ready:
        fetch_postgres(part)


def _watch(jobs: dict[str, tuple[Part, Future[None]]], progress: Progress) -> None:
    pending = {future for _, future in jobs.values()}
    while pending:
        finished, pending = wait(pending, SECONDS_BETWEEN_LINES, FIRST_EXCEPTION)
        for future in finished:
            future.result()
        if pending:
            states = (f"{name} {_state(part, future)}" for name, (part, future) in jobs.items())
            progress("  " + ", ".join(states))


def _state(part: Part, future: Future[None]) -> str:
    if future.done():
        return "ready"
    if part.ready:
        return "runs once to learn a quick start"
    return f"{_megabytes(part.path)} MB"


def _megabytes(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
        except OSError:
            continue  # moved away meanwhile
    return total // 1_000_000
