"""PostgreSQL with TimescaleDB 2.19 in a private prefix, listening on 127.0.0.1 only; 17 unless said otherwise."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from devstack.cache import DATA_VARIABLE, Part, require_reachable, server_account
from devstack.debian import fetch_packages, require_apt, unpack
from devstack.errors import DevstackError
from devstack.ports import free_port, listening
from devstack.process import GuardedProcess

# Counts up when what is in the part changes: an old part is then left alone and a new one made.
PART_NAME = "postgresql-17-timescaledb-1"
SUPERUSER = "stacklens_user"
DATABASE = "stacklens"
SECONDS_TO_START = 120
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}

SETTINGS = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
shared_preload_libraries = 'timescaledb'
timescaledb.license = 'apache'
timescaledb.telemetry_level = off
timescaledb.max_background_workers = 8
timezone = 'UTC'
log_timezone = 'UTC'
jit = off
max_connections = 300
max_worker_processes = 24
max_locks_per_transaction = 256
shared_buffers = '512MB'
effective_cache_size = '2GB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
min_wal_size = '256MB'
max_wal_size = '4GB'
checkpoint_timeout = '15min'
"""
ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"


def postgres_part(cache: Path) -> Part:
    """The database's part of the cache."""
    return Part(cache / PART_NAME)


def fetch_postgres(part: Part) -> None:
    """Download and unpack the packages, and make one empty cluster, copied at each start."""
    require_apt()
    part.begin()
    # A name of its own: after a kill -9 an orphaned apt-get may still write to the last one.
    work = Path(tempfile.mkdtemp(prefix="download-", dir=part.path))
    unpack(fetch_packages(work), part.path / "prefix")
    shutil.rmtree(work)
    # No locale of this machine is needed: the server brings its own C.UTF-8.
    make_template(part, "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    part.finish()


def make_template(part: Part, *locale: str) -> None:
    """Make the empty cluster of a part whose programs are unpacked; `locale`: options of initdb."""
    template = part.path / "template"
    template.mkdir(mode=0o700)
    account = server_account()
    if account.uid is not None and account.gid is not None:
        os.chown(template, account.uid, account.gid)
    initdb: list[str | Path] = [_program(part, "initdb"), "--pgdata", template]
    initdb += ["--encoding=UTF8", "--no-locale", *locale]
    initdb += ["--auth=trust", "--no-sync", "--no-instructions"]
    _run([*initdb, "--username", SUPERUSER])
    _single_user(part, template, f"CREATE DATABASE {DATABASE}")


class Postgres(GuardedProcess):
    """A running database server; its superuser's password is made up anew for each."""

    def __init__(self, part: Part, directory: Path, *, fsync: bool = True) -> None:
        require_reachable(directory.parent, f"TMPDIR or {DATA_VARIABLE}")
        directory.mkdir(parents=True)
        account = server_account()
        self.port = free_port()
        self.user = SUPERUSER
        self.password = secrets.token_urlsafe(18)
        self.database = DATABASE
        data = directory / "data"
        _run(["cp", "-a", "--reflink=auto", part.path / "template", data], drop=False)
        (data / "pg_hba.conf").write_text(ACCESS)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS)
            settings.write(f"port = {self.port}\nfsync = {'on' if fsync else 'off'}\n")
            if not fsync:
                settings.write("full_page_writes = off\n")
        _single_user(part, data, f"ALTER ROLE {SUPERUSER} PASSWORD '{self.password}'")
        super().__init__(
            name="PostgreSQL",
            argv=[str(_program(part, "postgres")), "-D", str(data)],
            directory=directory,
            env=ENVIRONMENT,
            end_signal=signal.SIGQUIT,
            stop_signal=signal.SIGINT,
            account=account,
        )

    def wait_until_ready(self) -> None:
        """Return once the server accepts this superuser's connections."""
        self.wait_until_answering(self._answers, SECONDS_TO_START)

    def _answers(self) -> bool:
        if not listening(self.port):
            return False
        import psycopg2

        try:
            psycopg2.connect(
                host="127.0.0.1",
                port=self.port,
                user=self.user,
                password=self.password,
                dbname=self.database,
                connect_timeout=5,
            ).close()
        except psycopg2.OperationalError:
            return False
        return True


def _program(part: Part, name: str) -> Path:
    (directory,) = part.path.glob("prefix/usr/lib/postgresql/*/bin")
    return directory / name


def _single_user(part: Part, data: Path, statement: str) -> None:
    """Run one statement on a server that does not listen (no password is needed for that)."""
    command: list[str | Path] = [_program(part, "postgres"), "--single", "-D", data]
    command += ["-c", "shared_preload_libraries=", "-c", "log_statement=none", "-c", "fsync=off"]
    _run([*command, "postgres"], statement + ";\n")


def _run(command: Sequence[str | Path], text: str = "", *, drop: bool = True) -> None:
    account = server_account()
    as_server = drop and account.uid is not None
    done = subprocess.run(
        [str(each) for each in command],
        input=text,
        cwd="/",
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        user=account.uid if as_server else None,
        group=account.gid if as_server else None,
        extra_groups=[] if as_server else None,
    )
    if done.returncode != 0 or "ERROR" in done.stderr or "FATAL" in done.stderr:
        raise DevstackError(f"{Path(command[0]).name} failed:\n{done.stderr.strip()[-1500:]}")
