"""Sending to the dashboard API in tests, as an admin or somebody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from dashboard_api import database as access
from tests.api_support import api_app, api_settings
from tests.databases import Database
from tests.quick_hash import quick_hash

ADMIN = ("ada", "a")
READER = ("rita", "r")
LONG_MS = 60_000
USERS = f"ada:admin:{quick_hash('a')},rita:reader:{quick_hash('r')},bo:admin:{quick_hash('b')}"


def real_now() -> datetime:
    """The clock on the wall: rows of these tests carry the database's times."""
    return datetime.now(UTC)


@contextmanager
def writing_app(database: Database, **changes: str) -> Iterator[Flask]:
    """The application with an admin and a reader."""
    with api_app(api_settings(database.env, API_USERS=USERS, **changes), now=real_now) as app:
        yield app


@contextmanager
def patient_locks() -> Iterator[None]:
    """An application made meanwhile waits for a lock until its test lets go of it, however slow the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "LOCK_TIMEOUT_MS", LONG_MS)
        patch.setattr(access, "STATEMENT_TIMEOUT_MS", LONG_MS)
        yield


class Sender:
    """Sends requests and checks the status of the answers."""

    def __init__(self, client: FlaskClient, auth: tuple[str, str] = ADMIN) -> None:
        self.client = client
        self.auth = auth

    def send(
        self, method: str, path: str, body: object = None, expect: int = 200, **query: Any
    ) -> Any:
        """The JSON of the answer; None when it has no body."""
        answer = self.answer(method, path, body, **query)
        assert answer.status_code == expect, answer.get_data(as_text=True)
        return answer.get_json() if answer.get_data() else None

    def answer(self, method: str, path: str, body: object = None, **query: Any) -> TestResponse:
        """The answer, whatever it is; `body` goes as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps({} if body is None else body)
        return self.client.open(
            path,
            method=method,
            data=None if method == "GET" else data,
            content_type=None if method == "GET" else "application/json",
            query_string={name.rstrip("_"): value for name, value in query.items()},
            auth=self.auth,
        )

    def get(self, path: str, expect: int = 200, **query: Any) -> Any:
        """The JSON under `path`."""
        return self.send("GET", path, None, expect, **query)

    def problems(
        self, method: str, path: str, body: object, expect: int = 400, **query: Any
    ) -> dict[str, str]:
        """What a refusal says is wrong, by member."""
        answer = self.answer(method, path, body, **query)
        assert answer.status_code == expect, answer.get_data(as_text=True)
        assert answer.content_type == "application/problem+json"
        found = answer.get_json().get("errors", [])
        return {error["parameter"]: error["detail"] for error in found}
