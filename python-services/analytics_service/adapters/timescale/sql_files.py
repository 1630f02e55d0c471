"""The files under sql/: what each is called, what belongs together, and what is wrong with them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from analytics_service.adapters.timescale.errors import MigrationError

MIGRATION_NAME = re.compile(r"(?P<version>\d{4})_(?P<subject>[a-z0-9_]+)\.(?P<way>up|down)\.sql")
SCRIPT_NAME = re.compile(r"(?P<subject>[a-z0-9_]+)\.(?P<way>up|down)\.sql")
SCRIPT_DIRECTORIES = ("functions", "views")
# The runner wraps each file in a transaction; one that ends it would leave half a migration behind.
TRANSACTION_CONTROL = re.compile(
    r"^\s*(begin|commit|rollback|start\s+transaction|end)(\s+(work|transaction))?\s*;", re.I | re.M
)
COMMENT_LINE = re.compile(r"^\s*--.*$", re.M)


class SqlFilesError(MigrationError):
    """The files cannot be used; `problems` holds a line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema and its way back."""

    version: int
    subject: str
    up: str
    down: str
    checksum: str

    @property
    def label(self) -> str:
        """As in the file's name: 0002_events."""
        return f"{self.version:04d}_{self.subject}"


@dataclass(frozen=True, slots=True)
class Script:
    """A re-runnable file of functions or views, and the statements that take its objects away."""

    path: str
    up: str
    down: str
    checksum: str


@dataclass(frozen=True, slots=True)
class SqlFiles:
    """Migrations by version from 1 without gaps; functions, then views, in order of name."""

    migrations: tuple[Migration, ...]
    scripts: tuple[Script, ...]


def read_sql_files(sql_dir: Path) -> SqlFiles:
    """Everything under `sql_dir`. Raises SqlFilesError that lists every problem at once."""
    files, problems = inspect_sql_files(sql_dir)
    if problems:
        raise SqlFilesError(problems)
    return files


def inspect_sql_files(sql_dir: Path) -> tuple[SqlFiles, list[str]]:
    """What can be read under `sql_dir`, and what is wrong: names, halves, gaps, empty files."""
    problems: list[str] = []
    migrations: list[Migration] = []
    for stem, (up, down, checksum) in _pairs(sql_dir, "migrations", MIGRATION_NAME, problems):
        version, _, subject = stem.partition("_")
        migrations.append(Migration(int(version), subject, up, down, checksum))
    numbers = [migration.version for migration in migrations]
    if not numbers:
        problems.append(f"no migrations in {sql_dir / 'migrations'}")
    elif numbers != list(range(1, len(numbers) + 1)):
        problems.append(f"migrations are not numbered from 0001 without gaps or repeats: {numbers}")
    scripts = [
        Script(f"{directory}/{stem}", up, down, checksum)
        for directory in SCRIPT_DIRECTORIES
        for stem, (up, down, checksum) in _pairs(sql_dir, directory, SCRIPT_NAME, problems)
    ]
    return SqlFiles(tuple(migrations), tuple(scripts)), problems


def _pairs(
    sql_dir: Path, directory: str, name: re.Pattern[str], problems: list[str]
) -> list[tuple[str, tuple[str, str, str]]]:
    """(stem, (up, down, checksum of up)) of each complete pair in the directory, by stem."""
    found: dict[str, dict[str, bytes]] = {}
    folder = sql_dir / directory
    for file in sorted(folder.glob("*.sql")) if folder.is_dir() else []:
        match = name.fullmatch(file.name)
        if match is None:
            problems.append(f"{directory}/{file.name}: not named like {_example(directory)}")
            continue
        stem = file.name.removesuffix(f".{match['way']}.sql")
        found.setdefault(stem, {})[match["way"]] = file.read_bytes()
    pairs = []
    for stem, halves in sorted(found.items()):
        for way in ("up", "down"):
            if way not in halves:
                problems.append(f"{directory}/{stem}.{way}.sql is missing")
            else:
                problems += [
                    f"{directory}/{stem}.{way}.sql {fault}" for fault in _faults(halves[way])
                ]
        if len(halves) == 2:
            up, down = (halves[way].decode("utf-8", "replace") for way in ("up", "down"))
            pairs.append((stem, (up, down, hashlib.sha256(halves["up"]).hexdigest())))
    return pairs


def _faults(content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return ["is not UTF-8"]
    if not COMMENT_LINE.sub("", text).strip():
        return ["holds no statement"]
    if TRANSACTION_CONTROL.search(text):
        return ["begins or ends a transaction; the runner does that"]
    return []


def _example(directory: str) -> str:
    return "0001_subject.up.sql" if directory == "migrations" else "subject.up.sql"
