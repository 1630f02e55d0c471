"""Requests made up from the description: none fails, and every answer is as described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.core import NOT_SET

from devstack.api import Stack
from tests.api_description import description
from tests.api_support import (
    NOW_S,
    api_app,
    api_settings,
    event,
    fresh_database,
    store_events,
    store_raw,
)
from tests.api_writes import ADMIN, writing_app

EXAMPLES = 20


def described() -> dict[str, Any]:
    """What there is can be told without a database."""
    with api_app(api_settings({"DB_PORT": "1"})) as app:
        return description(app)


schema = schemathesis.openapi.from_dict(described())


@pytest.fixture(scope="module")
def filled_app(stack: Stack, migrated_template: str) -> Iterator[Flask]:
    with fresh_database(stack, migrated_template) as database:
        events = [
            event(NOW_S - n * 600, f"s{n % 3}", latency_ms=float(n), risk_score=n / 100)
            for n in range(100)
        ]
        store_events(database, events)
        store_raw(database, events)
        with writing_app(database) as app:
            yield app


@pytest.mark.slow
@schema.parametrize()
@hypothesis_settings(
    max_examples=EXAMPLES, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_made_up_requests(case: schemathesis.Case[Any], filled_app: Flask) -> None:
    """The client holds every answer against the description; see tests/api_description.py."""
    sent: dict[str, Any] = {}
    if isinstance(case.body, bytes):  # what is no JSON at all
        sent = {"data": case.body, "content_type": "application/json"}
    elif case.body is not NOT_SET:
        sent = {"json": case.body}
    path = case.formatted_path
    if "\0" in path or not path.startswith("/"):
        return
    answer = filled_app.test_client().open(
        path, method=case.method, query_string=case.query or {}, auth=ADMIN, **sent
    )
    assert answer.status_code < 500, answer.get_data(as_text=True)
