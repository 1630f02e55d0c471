"""What the resources share, made once an application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import current_app, g

from analytics_service.adapters.timescale.audit import LONGEST_ACTOR
from analytics_service.config import Settings
from analytics_service.domain.windows import Window, window_named
from dashboard_api.adhoc import AdhocQueries
from dashboard_api.briefs import Briefs
from dashboard_api.counters import ServerState
from dashboard_api.database import Reader, Writer
from dashboard_api.kept_parts import KeptParts
from dashboard_api.metrics import ApiMetrics
from dashboard_api.monitor import DatabaseMonitor
from dashboard_api.renewing import Renewing
from dashboard_api.replicas import ReplicaReport

EXTENSION = "stacklens"


def utc_now() -> datetime:
    """The clock of the running service."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Context:
    """Settings, database access, state shared by the workers, and the clock."""

    settings: Settings
    reader: Reader
    writer: Writer
    adhoc: AdhocQueries
    monitor: DatabaseMonitor
    state: ServerState
    metrics: ApiMetrics
    report: ReplicaReport
    kept: KeptParts
    briefs: Briefs
    renewing: Renewing
    now: Callable[[], datetime]

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that are kept, finest first."""
        return windows_of(self.settings)

    def close(self) -> None:
        """Stop probing and close the connections."""
        self.monitor.stop()
        self.report.stop()
        self.renewing.stop()
        self.reader.close()
        self.writer.close()


def windows_of(settings: Settings) -> tuple[Window, ...]:
    """The windows that are kept, finest first."""
    return tuple(window_named(name) for name in settings.aggregation_windows)


def context() -> Context:
    """The context of the application that handles the current request."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Context)
    return found


def actor() -> str:
    """Name of the user or key that sent the current request, cut to fit a table; `anonymous` without log-in."""
    return str(g.get("actor", "anonymous"))[:LONGEST_ACTOR]
