"""What holds for every write: who may, from where, in which form; and what happens without the database."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from devstack.api import Stack
from tests.alert_rows import fire, rule
from tests.api_support import api_app, api_settings, fresh_database
from tests.api_writes import ADMIN, READER, USERS, Sender, real_now, writing_app
from tests.quick_hash import quick_hash

RULE: dict[str, object] = {
    "rule_name": "r",
    "metric_name": "error_rate",
    "operator": ">",
    "threshold": 5,
    "severity": "info",
}
SILENCE: dict[str, object] = {"matcher": {"service": "x"}, "until": "+2h", "comment": "x"}
WRITES: list[tuple[str, str, dict[str, object]]] = [
    ("POST", "/alerts/1/acknowledge", {}),
    ("POST", "/alerts/1/resolve", {}),
    ("POST", "/rules", RULE),
    ("PUT", "/rules/r", RULE),
    ("PATCH", "/rules/r", {"enabled": False}),
    ("DELETE", "/rules/r", {}),
    ("POST", "/silences", SILENCE),
    ("PUT", "/silences/1", {"until": "+2h", "comment": "x"}),
    ("PATCH", "/silences/1", {"comment": "x"}),
    ("DELETE", "/silences/1", {}),
]
VERSIONED = [
    (method, prefix + path, body) for method, path, body in WRITES for prefix in ("", "/v1")
]
each_write = pytest.mark.parametrize(("method", "path", "body"), VERSIONED)


@pytest.fixture(scope="module")
def app(stack: Stack, migrated_template: str) -> Iterator[Flask]:
    """On a database where there is nothing to write to: nothing here changes it."""
    with fresh_database(stack, migrated_template) as database, writing_app(database) as app:
        yield app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@each_write
def test_only_admins_write(client: FlaskClient, method: str, path: str, body: object) -> None:
    for auth, expect in ((READER, 403), (("ada", "wrong"), 401)):
        answer = Sender(client, auth).answer(method, path, body)
        assert answer.status_code == expect
        assert answer.content_type == "application/problem+json"
    assert client.open(path, method=method, json=body).status_code == 401


@pytest.mark.parametrize(
    ("headers", "is_foreign"),
    [
        ({}, False),
        ({"Origin": "http://localhost"}, False),
        ({"Origin": "https://localhost"}, False),  # TLS ends at a proxy
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "http://localhost.evil.example"}, True),
        ({"Origin": "http://localhost:8080"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": ""}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, True),
    ],
)
@each_write
def test_pages_of_other_sites_write_nothing(
    client: FlaskClient,
    method: str,
    path: str,
    body: object,
    headers: dict[str, str],
    is_foreign: bool,
) -> None:
    """With the right password, which a browser sends along."""
    content = {"unknown": 1} if not is_foreign else body  # a 400 shows that it went further
    answer = client.open(path, method=method, json=content, auth=ADMIN, headers=headers)
    assert answer.status_code == (403 if is_foreign else 400)
    if is_foreign:
        assert answer.get_json()["type"] == "urn:stacklens:problem:foreign-origin"


def test_pages_of_other_sites_may_lead_here(client: FlaskClient) -> None:
    """Looking is no harm: the other page does not see the answer."""
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
    assert client.get("/rules", auth=ADMIN, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp",
     "text/plain; application/json"],
)  # fmt: skip
@each_write
def test_bodies_are_json(
    client: FlaskClient, method: str, path: str, body: object, content_type: str | None
) -> None:
    """A form of another site can send none: it is refused even when the bytes would do."""
    answer = client.open(
        path, method=method, data=json.dumps(body), content_type=content_type, auth=ADMIN
    )
    assert answer.status_code == 415
    assert "application/json" in answer.get_json()["detail"]


def test_a_body_may_be_left_out_where_nothing_is_needed(client: FlaskClient) -> None:
    for path in ("/alerts/1/acknowledge", "/alerts/1/resolve"):
        answer = client.post(path, content_type="application/json", auth=ADMIN)
        assert answer.status_code == 404
        assert client.post(path, auth=ADMIN).status_code == 415
    for path in ("/rules/r", "/silences/1"):
        assert client.delete(path, auth=ADMIN).status_code == 404


def test_a_charset_does_no_harm(client: FlaskClient) -> None:
    answer = client.post(
        "/rules", data=b"{}", content_type="Application/JSON; charset=utf-8", auth=ADMIN
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "data",
    [b"{", b"nonsense", b"\xff", b'{"a": "\xff"}', b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 60_000, b'{"a":' * 12_000,
     b"{} {}", b"\x00"],
)  # fmt: skip
@each_write
def test_what_is_no_json(
    client: FlaskClient, method: str, path: str, body: object, data: bytes
) -> None:
    del body
    answer = Sender(client).answer(method, path, data)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert answer.get_json()["detail"] == "The body is not valid JSON."


@pytest.mark.parametrize("data", [b"[]", b"null", b'"x"', b"7", b"true"])
@each_write
def test_what_is_no_object(
    client: FlaskClient, method: str, path: str, body: object, data: bytes
) -> None:
    del body
    assert Sender(client).problems(method, path, data) == {"body": "must be a JSON object"}


@each_write
def test_unknown_members_and_parameters_are_named(
    client: FlaskClient, method: str, path: str, body: object
) -> None:
    assert isinstance(body, dict)
    assert list(Sender(client).problems(method, path, {**body, "<b>": 1})) == ["<b>"]
    assert list(Sender(client).problems(method, path, body, nonsense="1")) == ["nonsense"]


@each_write
def test_a_body_is_at_most_64_kb(client: FlaskClient, method: str, path: str, body: object) -> None:
    """Told its length, or in pieces."""
    del body
    answer = Sender(client).answer(method, path, b" " * 65_537)
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")
    pieces = client.open(
        path, method=method, input_stream=io.BytesIO(b" " * 65_537), content_type="application/json", auth=ADMIN,
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )  # fmt: skip
    assert pieces.status_code == 413


def test_the_methods_of_a_path(client: FlaskClient) -> None:
    for path, allowed in (
        ("/rules", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/rules/r", {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}),
        ("/silences/1", {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}),
        ("/alerts/1/acknowledge", {"OPTIONS", "POST"}),
    ):
        answer = client.open(path, method="TRACE", auth=ADMIN)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.fixture(scope="module")
def away() -> Iterator[Flask]:
    """An API whose database is not there."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        env = {
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(holder.getsockname()[1]),
            "DB_PASSWORD": "owner-secret",
        }
        with api_app(
            api_settings(env, API_USERS=USERS, DB_ADMIN_PASSWORD="admin-secret"), now=real_now
        ) as app:
            yield app


READS = ["/alerts", "/alerts/1", "/alerts/1/history", "/rules", "/rules/r", "/silences", "/silences/1", "/alert-stats",
         "/audit"]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body"), [*VERSIONED, *(("GET", path, None) for path in READS)]
)
def test_503_without_the_database(away: Flask, method: str, path: str, body: object) -> None:
    answer = Sender(away.test_client()).answer(method, path, body)
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    text = answer.get_data(as_text=True)
    assert "database" in answer.get_json()["detail"]
    for secret in (
        "owner-secret",
        "admin-secret",
        "127.0.0.1",
        "stacklens_admin",
        "psycopg2",
        "INSERT",
    ):
        assert secret not in text


def test_reads_are_the_reader_s(stack: Stack, migrated_template: str) -> None:
    """Looking goes on when no connection of the admin is to be had."""
    with fresh_database(stack, migrated_template) as database, writing_app(database) as app:
        app.extensions["stacklens"].writer.close()
        sender = Sender(app.test_client())
        found = {path: sender.answer("GET", path).status_code for path in READS}
        sender.send("POST", "/rules", RULE, 503)
    missing = {"/alerts/1", "/alerts/1/history", "/rules/r", "/silences/1"}
    assert found == {path: 404 if path in missing else 200 for path in READS}


def test_writes_are_the_admin_s(app: Flask) -> None:
    with app.extensions["stacklens"].writer.transaction() as cursor:
        cursor.execute("SELECT current_user, session_user, current_setting('statement_timeout')")
        assert cursor.fetchone() == ("stacklens_admin", "stacklens_admin", "5s")


def test_without_log_in_the_hand_is_anonymous(stack: Stack, migrated_template: str) -> None:
    with fresh_database(stack, migrated_template) as database:
        settings = api_settings(database.env, API_AUTH_DISABLED="1")
        with api_app(settings, now=real_now) as app:
            answer = app.test_client().post("/silences", json=SILENCE)
            assert (answer.status_code, answer.get_json()["author"]) == (201, "anonymous")


def test_a_very_long_name_is_cut(stack: Stack, migrated_template: str) -> None:
    name = "n" * 300
    with fresh_database(stack, migrated_template) as database:
        settings = api_settings(database.env, API_USERS=f"{name}:admin:{quick_hash('x')}")
        with api_app(settings, now=real_now) as app:
            sender = Sender(app.test_client(), (name, "x"))
            assert sender.send("POST", "/silences", SILENCE, 201)["author"] == "n" * 255


@pytest.fixture(scope="module")
def played_with(stack: Stack, migrated_template: str) -> Iterator[Sender]:
    """On a database that may be changed."""
    with fresh_database(stack, migrated_template) as database, writing_app(database) as app:
        fire(database, rule())
        sender = Sender(app.test_client())
        sender.send("POST", "/rules", RULE, 201)
        sender.send("POST", "/silences", SILENCE, 201)
        yield sender


texts = st.text(max_size=20) | st.sampled_from(
    [
        "r",
        "*",
        "+2h",
        "-1h",
        "now",
        "2126-01-01",
        "error_rate",
        ">",
        "info",
        "slack",
        "9" * 400,
        "\0",
    ]
)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
MEMBERS = sorted(
    {name for _, _, body in WRITES if isinstance(body, dict) for name in body} | {"from", "service"}
)


@hypothesis_settings(max_examples=400)
@given(
    write=st.sampled_from(WRITES),
    changes=st.dictionaries(st.sampled_from(MEMBERS) | texts, plain, max_size=4),
    matcher=st.none()
    | st.dictionaries(
        st.sampled_from(["service", "rule_name", "severity", "x"]), plain, max_size=3
    ),
)
def test_no_body_makes_it_fail(
    played_with: Sender,
    write: tuple[str, str, dict[str, object]],
    changes: dict[str, object],
    matcher: object,
) -> None:
    method, path, least = write
    body = {**least, **changes} | ({} if matcher is None else {"matcher": matcher})
    answer = played_with.answer(method, path, body)
    assert answer.status_code in (200, 201, 204, 400, 404, 409), answer.get_data(as_text=True)
    if answer.status_code == 400:
        told = {error["parameter"] for error in answer.get_json()["errors"]}
        assert {name for name in told if not name.startswith("matcher.")} <= {*body, "until"}
