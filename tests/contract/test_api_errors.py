"""One shape for every error, at every endpoint: RFC 9457, naming the parameter, telling no secret."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import NoReturn

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from analytics_service.passwords import hash_api_key
from tests.api_support import USER, api_app, api_settings
from tests.quick_hash import quick_hash

OPEN = ["/health", "/healthz", "/readyz"]
READABLE = [
    "/metrics", "/metrics/summary", "/metrics/series", "/health-status", "/performance-trend",
    "/top-error-services", "/slowest-services", "/high-risk-events", "/sla", "/stats",
]  # fmt: skip
GUARDED = [*READABLE, "/dead-letters", "/dead-letters/1", "/recalculations/1"]
VERSIONED = [prefix + path for path in GUARDED for prefix in ("", "/v1")]
KEY = "slk_a-key-for-the-contract-tests"


@pytest.fixture(scope="module")
def unused_port() -> Iterator[int]:
    """A port where nobody listens, held so that nobody begins to."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture(scope="module")
def app(unused_port: int) -> Iterator[Flask]:
    """An API whose database is not there; with a view that is defective."""
    users = ",".join(f"{role}:{role}:{quick_hash('pw ü')}" for role in ("reader", "admin"))
    settings = api_settings(
        {"DB_HOST": "127.0.0.1", "DB_PORT": str(unused_port), "DB_PASSWORD": "owner-secret"},
        API_USERS=f"{USER[0]}2:admin:{quick_hash(USER[1])},{users}",
        API_KEYS=f"ci:reader:{hash_api_key(KEY)}",
    )
    with api_app(settings) as app:

        @app.get("/defective")
        def defective() -> NoReturn:
            raise RuntimeError("SELECT secret FROM users")

        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def check_problem(answer: TestResponse, status: int, path: str) -> dict[str, object]:
    """The shape that every error has."""
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.content_type == "application/problem+json"
    assert answer.headers["X-API-Version"] == "1.0"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    body = json.loads(answer.get_data())
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "instance"}
    assert body["status"] == status
    assert body["instance"] == path
    assert body["type"].startswith("urn:stacklens:problem:")
    assert body["title"]
    assert body["detail"]
    text = answer.get_data(as_text=True)
    for secret in ("SELECT", "Traceback", "psycopg2", "owner-secret", "127.0.0.1", ".py"):
        assert secret not in text
    assert isinstance(body, dict)
    return body


READER = ("reader", "pw ü")
ADMIN = ("admin", "pw ü")


@pytest.mark.parametrize("path", [*VERSIONED, "/nothing", "/v1", "/v2/metrics", "/defective"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic"},
        {"Authorization": "Basic ==="},
        {"Authorization": "Basic cmVhZGVyOndyb25n"},  # reader:wrong
        {"Authorization": "Basic bm9ib2R5OndyB25n"},
        {"Authorization": "Basic Og=="},  # nobody, without a password
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer " + KEY[:-1]},
        {"Authorization": "Digest username=reader"},
    ],
)
def test_401_without_a_right_password(
    client: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    answer = client.get(path, headers=headers)
    check_problem(answer, 401, path)
    assert [value.split()[0] for value in answer.headers.getlist("WWW-Authenticate")] == [
        "Basic",
        "Bearer",
    ]


@pytest.mark.parametrize("path", VERSIONED)
def test_400_names_an_unknown_parameter(client: FlaskClient, path: str) -> None:
    body = check_problem(client.get(f"{path}?nonsense=1", auth=ADMIN), 400, path)
    errors = body["errors"]
    assert isinstance(errors, list)
    assert [error["parameter"] for error in errors] == ["nonsense"]
    assert "nonsense" in str(body["detail"])


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("/metrics", "limit=0", "limit"),
        ("/metrics", "limit=5001", "limit"),
        ("/metrics", "limit=1&limit=2", "limit"),
        ("/metrics", "window=2min", "window"),
        ("/metrics", "service=", "service"),
        ("/metrics", "service=nul%00", "service"),
        ("/metrics", "service=" + "x" * 256, "service"),
        ("/metrics", "from=yesterday", "from"),
        ("/metrics", "from=now&to=-1h", "from"),
        ("/metrics", "to=2026-02-30", "to"),
        ("/metrics", "cursor=x", "cursor"),
        ("/metrics", "%00=1", "\0"),
        ("/metrics/summary", "from=-1h&to=-2h", "from"),
        ("/metrics/summary", "to=-1h", "from"),  # which is -1h by default
        ("/metrics/summary", "limit=1", "limit"),
    ],
)
def test_400_names_the_parameter(
    client: FlaskClient, path: str, query: str, parameter: str
) -> None:
    body = check_problem(client.get(f"{path}?{query}", auth=READER), 400, path)
    errors = body["errors"]
    assert isinstance(errors, list)
    assert [error["parameter"] for error in errors] == [parameter]


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/v1", "/v2/metrics", "/metrics/x"])
def test_404(client: FlaskClient, path: str) -> None:
    check_problem(client.get(path, auth=READER), 404, path)


@pytest.mark.parametrize("path", [*OPEN, *VERSIONED])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_405_says_what_is_allowed(client: FlaskClient, path: str, method: str) -> None:
    answer = client.open(path, method=method, auth=READER)
    check_problem(answer, 405, path)
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_500_tells_nothing_and_logs_it(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    check_problem(client.get("/defective", auth=READER), 500, "/defective")
    assert "SELECT secret FROM users" in caplog.text


@pytest.mark.parametrize("path", VERSIONED)
def test_503_without_the_database(client: FlaskClient, path: str) -> None:
    answer = client.get(path, auth=ADMIN)
    body = check_problem(answer, 503, path)
    assert "database" in str(body["detail"])
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("path", ["/health", "/v1/health", "/readyz", "/v1/readyz"])
def test_health_names_the_failing_part(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    body = answer.get_json()
    assert answer.status_code == 503
    assert answer.headers["X-API-Version"] == "1.0"
    assert body["status"] == ("unhealthy" if path.endswith("/health") else "not ready")
    assert "database" in body["failed"]
    assert body["components"]["database"] == {
        "status": "unhealthy",
        "detail": "cannot be reached",
    }


def test_healthz_is_alive_without_a_database(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "alive"})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_lets_in(client: FlaskClient, scheme: str) -> None:
    answer = client.get("/nothing", headers={"Authorization": f"{scheme} {KEY}"})
    assert answer.status_code == 404


@pytest.mark.parametrize("user", [READER, ("admin", "pw ü"), ("admin2", "stacklens")])
def test_each_user_is_let_in(client: FlaskClient, user: tuple[str, str]) -> None:
    assert client.get("/nothing", auth=user).status_code == 404


def test_no_password_where_authentication_is_off(unused_port: int) -> None:
    settings = api_settings({"DB_PORT": str(unused_port)}, API_AUTH_DISABLED="1")
    with api_app(settings) as app:
        assert app.test_client().get("/nothing").status_code == 404
