"""What the migration runner did or found, for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class UpReport:
    """What `up` did; empty lists when everything was there. `mended`: chunks after a restore by psql."""

    version: int
    applied: list[str]
    scripts: list[str]
    mended: list[str]


@dataclass(frozen=True, slots=True)
class DownReport:
    """What `down` did, or with `dry_run` would do."""

    version: int
    dry_run: bool
    reverted: list[str]
    scripts: list[str]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found; `checksums` are the SHA-256 of each migration's up file."""

    problems: list[str]
    checksums: dict[str, str]
    database_checked: bool

    def as_dict(self) -> dict[str, object]:
        """For a report in JSON."""
        return {**asdict(self), "ok": not self.problems}
