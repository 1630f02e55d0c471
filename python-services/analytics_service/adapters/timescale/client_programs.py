"""PostgreSQL's own programs, of a version that fits the server."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from analytics_service.adapters.timescale.connecting import ConnectionParameters
from analytics_service.adapters.timescale.errors import BackupError
from analytics_service.config import child_environment

# Where Debian and its relatives, and those of Red Hat, put the programs of each version.
VERSIONED = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
VERSION_S = 10.0
_VERSION = re.compile(r"\) (\d+)")


def find_client(name: str, server_major: int, directory: Path | None = None) -> Path:
    """`pg_dump` or `psql` for a server: of its own major version if there is one, else the next newer.

    Looks in `directory` alone when it is given. Raises BackupError that names what was found and what to install.
    """
    fitting: list[tuple[int, Path]] = []
    seen: list[str] = []
    for program in _candidates(name, directory):
        major = _major_version(program)
        seen.append(f"{program} ({'cannot be run' if major is None else major})")
        if major is not None and major >= server_major:
            fitting.append((major, program))
    if fitting:
        return min(fitting, key=lambda found: found[0])[1]
    raise BackupError(
        f"the server is PostgreSQL {server_major}, and {name} must be of that version or newer. "
        f"Found: {', '.join(seen) or 'none'}.\n"
        f"Install it (Debian, Ubuntu: apt-get install postgresql-client-{server_major}), or name its directory "
        "with PG_CLIENT_DIRECTORY."
    )


def client_environment(params: ConnectionParameters) -> dict[str, str]:
    """The variables by which a client program connects; so nothing secret stands on a command line.

    Without a password the user's own `~/.pgpass` holds.
    """
    return child_environment(
        {
            "PGHOST": params.host,
            "PGPORT": str(params.port),
            "PGUSER": params.user,
            "PGDATABASE": params.database,
            "PGAPPNAME": params.application_name,
            "PGOPTIONS": "",
            "LC_MESSAGES": "C",
            **({"PGPASSWORD": params.password} if params.password else {}),
        }
    )


def _candidates(name: str, directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        places = [directory]
    else:
        on_path = shutil.which(name)
        places = [Path(on_path).parent] if on_path else []
        for pattern in VERSIONED:
            places += sorted(Path("/").glob(pattern.removeprefix("/")))
    for place in places:
        if (place / name).is_file():
            yield place / name


def _major_version(program: Path) -> int | None:
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=VERSION_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout) if done.returncode == 0 else None
    return int(found[1]) if found else None
