"""The dashboard API for tests: in this process or as the real server, on rows whose truth is known."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from psycopg2.extras import execute_values

from analytics_service.adapters.timescale.window_rows import prepare_stage
from analytics_service.adapters.timescale.window_store import merge_cells
from analytics_service.config import Settings, load_settings
from analytics_service.domain.aggregation import roll_up
from analytics_service.domain.events import Event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.times import from_epoch_us
from analytics_service.domain.windows import WINDOWS
from dashboard_api import monitor
from dashboard_api.app import create_app
from dashboard_api.context import EXTENSION, Context
from devstack.api import Stack
from tests.api_description import CheckedClient
from tests.databases import Database, create_database, drop_database
from tests.quick_hash import quick_hash
from tests.reference.brute_force import Figures, Window
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[1]
USER = ("admin", "stacklens")
NOW = datetime(2026, 3, 10, 12, 34, 56, 789000, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
START_DEADLINE_S = 60.0
PATIENT_S = 20.0


def api_settings(env: Mapping[str, str], **changes: str) -> Settings:
    """Settings of an API on the database that `env` names; unless they name users, USER can log in."""
    given = {"APP_ENV": "test", **env, **changes}
    if not given.keys() & {"API_USERS", "API_USERS_FILE", "API_AUTH_DISABLED"}:
        given["API_USERS"] = _usual_user()
    return load_settings(given, env_file=None)


@functools.cache
def _usual_user() -> str:
    return f"{USER[0]}:admin:{quick_hash(USER[1])}"


@contextlib.contextmanager
def api_app(settings: Settings, now: Callable[[], datetime] = lambda: NOW) -> Iterator[Flask]:
    """The application in this process, its clock given, closed at the end."""
    with pytest.MonkeyPatch.context() as patch:
        # Beside a whole suite on few cores a probe may take longer than the 1.5 s after which the database hangs.
        patch.setattr(monitor, "ANSWER_WITHIN_S", PATIENT_S)
        patch.setattr(monitor, "FIRST_ANSWER_WITHIN_S", PATIENT_S)
        app = create_app(settings, now=now)
        app.test_client_class = CheckedClient
        try:
            yield app
        finally:
            shared = app.extensions[EXTENSION]
            assert isinstance(shared, Context)
            shared.close()


@contextlib.contextmanager
def fresh_database(stack: Stack, template: str) -> Iterator[Database]:
    """A database like `template` until the end of the block, for fixtures that several tests share."""
    name = f"test_api_{secrets.token_hex(6)}"
    try:
        yield create_database(stack, name, template)
    finally:
        drop_database(stack, name)


@dataclass
class Asking:
    """A client that sends the laptop user's password."""

    client: FlaskClient

    def get(self, path: str, expect: int = 200, **query: Any) -> Any:
        """The JSON under `path`; keys may end in an underscore (`from_`)."""
        named = {name.rstrip("_"): value for name, value in query.items()}
        answer = self.client.get(path, query_string=named, auth=USER)
        assert answer.status_code == expect, answer.get_data(as_text=True)
        return answer.get_json()


def event(at_s: float, service: str = "checkout", level: str = "info", **fields: Any) -> Event:
    """An event at epoch seconds `at_s`."""
    return Event(timestamp_us=round(at_s * 1_000_000), service=service, level=level, **fields)


def store_events(database: Database, events: Sequence[Event]) -> None:
    """Write the rows of all windows, as a flush does."""
    cells = fold_events(events, 0.8)
    with contextlib.closing(database.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        prepare_stage(cursor)
        for window in WINDOWS:
            merge_cells(cursor, window, roll_up(cells, window))
        connection.commit()


def store_raw(database: Database, events: Sequence[Event]) -> None:
    """Write raw rows, as a flush does."""
    rows = [
        (
            from_epoch_us(one.timestamp_us), one.service, one.level, one.latency_ms, one.risk_score, one.user_id,
            one.request_id, one.trace_id, one.message, one.error_message, one.source_ip, 1, 0, offset,
        )
        for offset, one in enumerate(events)
    ]  # fmt: skip
    with database.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO analytics_events (timestamp, service, level, latency_ms, risk_score, user_id, request_id,"
            " trace_id, message, error_message, source_ip, topic_incarnation, kafka_partition, kafka_offset)"
            " VALUES %s",
            rows,
            page_size=1000,
        )


def truth(events: Sequence[Event], first_s: float, end_s: float) -> dict[str, Figures]:
    """The exact figures of each service over the events in [first_s, end_s)."""
    windows: dict[str, Window] = {}
    for found in events:
        if not first_s * 1_000_000 <= found.timestamp_us < end_s * 1_000_000:
            continue
        window = windows.setdefault(found.service, Window())
        window.total += 1
        window.failed += found.level in ("error", "critical")
        window.high_risk += (found.risk_score or 0) > 0.8
        if found.latency_ms is not None:
            window.latencies.append(found.latency_ms)
        if found.risk_score is not None:
            window.risks.append(found.risk_score)
        if found.user_id is not None:
            window.users.add(found.user_id)
        if found.source_ip is not None:
            window.ips.add(found.source_ip.encode())
    return {service: window.figures() for service, window in windows.items()}


@dataclass
class RunningApi:
    """The real server in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    session: requests.Session = field(default_factory=requests.Session)

    def get(
        self, path: str, auth: tuple[str, str] | None = USER, **query: Any
    ) -> requests.Response:
        """An answer, whatever its status, within 20 s."""
        named = {name.rstrip("_"): value for name, value in query.items()}
        return self.session.get(self.url + path, params=named, auth=auth, timeout=20)


@contextlib.contextmanager
def running_api(env: Mapping[str, str], *options: str) -> Iterator[RunningApi]:
    """`stacklens api` on a free port until the end of the block, where it must exit with 0."""
    with tempfile.TemporaryDirectory(prefix="stacklens-api-") as directory:
        log = Path(directory) / "api.log"
        full_env = {
            **{
                name: value
                for name, value in os.environ.items()
                if name.startswith(("PATH", "COV"))
            },
            "PYTHONPATH": str(CHECKOUT / "python-services"),
            "APP_ENV": "test",
            "API_PORT": "0",
            "API_METRICS_PORT": "0",
            **env,
        }
        command = [sys.executable, "-m", "analytics_service.entrypoints.cli.main", "api", *options]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=full_env, stdout=output, stderr=output, cwd=directory
            )
        try:
            url = wait_until(lambda: _listening(log, process), START_DEADLINE_S, "the API listens")
            yield RunningApi(url, process, log)
            process.terminate()
            assert process.wait(20) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def children(pid: int) -> list[int]:
    """The processes that a process started and that are still there."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _listening(log: Path, process: subprocess.Popen[bytes]) -> str:
    text = log.read_text()
    assert process.poll() is None, text
    found = re.search(r"dashboard-api listening on (http://\S+)", text)
    return found[1] if found else ""
