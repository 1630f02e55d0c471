"""Guessing of passwords is slowed down; whoever is in stays in, and other addresses are not concerned."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from analytics_service.passwords import hash_api_key
from tests.api_support import api_app, api_settings
from tests.quick_hash import quick_hash

USERS = f"anna:reader:{quick_hash('right')},bert:admin:{quick_hash('his')}"
KEY = "slk_a-key-for-the-tests-of-guessing"
GUESSER, OTHER = "203.0.113.7", "203.0.113.8"


@pytest.fixture
def app() -> Iterator[Flask]:
    """No database is needed: a path that there is not tells 404 to those who are in."""
    settings = api_settings(
        {"DB_PORT": "1"},
        API_USERS=USERS,
        API_KEYS=f"ci:reader:{hash_api_key(KEY)}",
        API_TRUSTED_PROXIES="172.16.0.0/12",
    )
    with api_app(settings) as app:
        yield app


def ask(
    app: Flask,
    password: str | None,
    address: str = GUESSER,
    *,
    user: str = "anna",
    key: str | None = None,
    forwarded: str | None = None,
) -> TestResponse:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if forwarded:
        headers["X-Forwarded-For"] = forwarded
    return app.test_client().get(
        "/nothing",
        headers=headers,
        auth=None if password is None else (user, password),
        environ_base={"REMOTE_ADDR": address},
    )


def guess_ten_times(app: Flask, address: str = GUESSER, forwarded: str | None = None) -> None:
    for number in range(10):
        assert ask(app, f"wrong {number}", address, forwarded=forwarded).status_code == 401


def test_the_eleventh_guess_is_not_looked_at(app: Flask) -> None:
    guess_ten_times(app)
    refused = ask(app, "wrong")
    assert refused.status_code == 429
    assert refused.content_type == "application/problem+json"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Cache-Control"] == "no-store"
    # Not even the right one: its answer would tell.
    assert ask(app, "right").status_code == 429
    assert ask(app, "his", user="bert").status_code == 429


def test_a_right_password_from_elsewhere_is_let_in(app: Flask) -> None:
    guess_ten_times(app)
    assert ask(app, "right", OTHER).status_code == 404


def test_who_is_in_stays_in(app: Flask) -> None:
    """Behind one address there are many people."""
    assert ask(app, "right").status_code == 404
    guess_ten_times(app)
    assert ask(app, "right").status_code == 404
    assert ask(app, "his", user="bert").status_code == 429


def test_a_right_key_is_let_in_and_wrong_ones_count(app: Flask) -> None:
    for _ in range(10):
        assert ask(app, None, key="slk_wrong").status_code == 401
    assert ask(app, None, key=KEY).status_code == 404
    assert ask(app, None, key="slk_wrong").status_code == 429


def test_no_password_at_all_is_no_guess(app: Flask) -> None:
    for _ in range(30):
        assert ask(app, None).status_code == 401
    assert ask(app, "right").status_code == 404


def test_behind_a_proxy_it_is_the_client_that_waits(app: Flask) -> None:
    proxy = "172.18.0.3"
    guess_ten_times(app, proxy, "198.51.100.1")
    assert ask(app, "right", proxy, forwarded="198.51.100.1").status_code == 429
    assert ask(app, "right", proxy, forwarded="198.51.100.2").status_code == 404
    # Writing the header oneself is of no use.
    forged = "1.2.3.4, 198.51.100.1"
    assert ask(app, "his", proxy, user="bert", forwarded=forged).status_code == 429


def test_failures_are_counted(app: Flask) -> None:
    guess_ten_times(app)
    ask(app, "wrong")
    ask(app, None, OTHER, key="slk_wrong")
    metrics = app.extensions["stacklens"].metrics
    cells = metrics.cells.totals()
    assert {kind: cells[cell] for kind, cell in metrics.failures.items()} == {
        "password": 10,
        "key": 1,
        "throttled": 1,
    }
