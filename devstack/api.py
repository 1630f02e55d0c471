"""The embedded stack for programs: `with running_stack() as stack: ... stack.env ...`"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from devstack.broker import Broker
from devstack.cache import DATA_VARIABLE, Part, Progress, default_directory
from devstack.database import DATABASE, SUPERUSER, Postgres
from devstack.errors import DevstackError
from devstack.fetch import fetch
from devstack.postgres15 import fetch_postgres15

__all__ = ["DevstackError", "Stack", "own_servers", "running_postgres15", "running_stack"]

# 15: the embedded database is PostgreSQL 15 instead of 17.
POSTGRES_VARIABLE = "STACKLENS_POSTGRES"


@dataclass(frozen=True)
class Stack:
    """A Kafka and a TimescaleDB that answer; `db_user` is a superuser.

    `kafka` and `postgres` are handles (`pid`, `stop()`, `start()`, `kill()`,
    `wait_until_ready()`), `None` for one's own servers, which are never started or stopped.
    """

    kafka_bootstrap_servers: str
    db_host: str
    db_port: int
    db_name: str
    db_user: str
    db_password: str
    kafka: Broker | None = None
    postgres: Postgres | None = None

    @property
    def env(self) -> dict[str, str]:
        """The variables that point the product at this stack."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
            "DB_HOST": self.db_host,
            "DB_PORT": str(self.db_port),
            "DB_NAME": self.db_name,
            "DB_USER": self.db_user,
            "DB_PASSWORD": self.db_password,
        }


def own_servers(environ: Mapping[str, str]) -> Stack | None:
    """The servers that the environment names, or `None` when it names none."""
    kafka, host = environ.get("KAFKA_BOOTSTRAP_SERVERS"), environ.get("DB_HOST")
    if not kafka and not host:
        return None
    if not kafka or not host:
        raise DevstackError(
            "to use your own servers set both KAFKA_BOOTSTRAP_SERVERS and DB_HOST; "
            "for the embedded stack set neither"
        )
    return Stack(
        kafka_bootstrap_servers=kafka,
        db_host=host,
        db_port=int(environ.get("DB_PORT") or 5432),
        db_name=environ.get("DB_NAME") or DATABASE,
        db_user=environ.get("DB_USER") or SUPERUSER,
        db_password=environ.get("DB_PASSWORD") or "",
    )


def to_stderr(line: str) -> None:
    """The usual place for progress lines."""
    print(f"devstack: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def running_stack(
    cache_dir: Path | None = None,
    progress: Progress = to_stderr,
    *,
    fsync: bool = True,
    environ: Mapping[str, str] | None = None,
    kafka_proxy_port: int | None = None,
    postgres_directory: Path | None = None,
) -> Iterator[Stack]:
    """Yield a running stack, and end it with the block or with this process, whichever is first.

    With KAFKA_BOOTSTRAP_SERVERS and DB_HOST in `environ` (default: the process's own) it yields
    those servers and starts nothing. For tests that disturb the servers: `kafka_proxy_port` (see
    `Broker`), and a directory for the database that does not exist yet, such as one on a small disk.
    Raises DevstackError with a message for people.
    """
    own = own_servers(os.environ if environ is None else environ)
    if own is not None:
        yield own
        return
    parts = fetch(cache_dir, progress)
    postgres_part = _postgres_part(parts.postgres, cache_dir, progress)
    with _directory() as directory, contextlib.ExitStack() as closing:
        kafka = Broker(parts.kafka, directory / "kafka", proxy_port=kafka_proxy_port)
        closing.callback(kafka.close)
        kafka.start()  # the slower of the two: it starts while the database's files are copied
        postgres = Postgres(
            postgres_part, postgres_directory or directory / "postgres", fsync=fsync
        )
        closing.callback(postgres.close)
        postgres.start()
        postgres.wait_until_ready()
        kafka.wait_until_ready()
        yield _stack(kafka, postgres)


@contextlib.contextmanager
def running_postgres15(
    cache_dir: Path | None = None, progress: Progress = to_stderr, *, fsync: bool = True
) -> Iterator[Stack]:
    """Yield a running PostgreSQL 15 without Kafka. Raises as `running_stack`."""
    part = fetch_postgres15(cache_dir or default_directory(), progress)
    with _directory() as directory, contextlib.ExitStack() as closing:
        postgres = Postgres(part, directory / "postgres", fsync=fsync)
        closing.callback(postgres.close)
        postgres.start()
        postgres.wait_until_ready()
        yield _stack(None, postgres)


def _postgres_part(usual: Part, cache_dir: Path | None, progress: Progress) -> Part:
    wanted = os.environ.get(POSTGRES_VARIABLE, "17")
    if wanted not in ("15", "17"):
        raise DevstackError(f"{POSTGRES_VARIABLE} must be 15 or 17, not {wanted!r}")
    return usual if wanted == "17" else fetch_postgres15(cache_dir or default_directory(), progress)


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    where = os.environ.get(DATA_VARIABLE) or tempfile.gettempdir()
    try:
        directory = Path(tempfile.mkdtemp(prefix="stacklens-devstack-", dir=where))
    except OSError as error:
        raise DevstackError(
            f"no directory for the servers' data can be made in {where} ({error.strerror}): "
            f"name another with {DATA_VARIABLE}"
        ) from error
    try:
        directory.chmod(0o711)  # the database's user passes through; what is inside is its own
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _stack(kafka: Broker | None, postgres: Postgres) -> Stack:
    return Stack(
        kafka_bootstrap_servers=kafka.bootstrap_servers if kafka else "",
        db_host="127.0.0.1",
        db_port=postgres.port,
        db_name=postgres.database,
        db_user=postgres.user,
        db_password=postgres.password,
        kafka=kafka,
        postgres=postgres,
    )
