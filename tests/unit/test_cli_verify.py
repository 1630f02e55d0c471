"""What `verify` makes of wrong answers, from a real HTTP server that gives them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from analytics_service.entrypoints.cli.checking import Finding, run_checks
from analytics_service.entrypoints.cli.verify_http import (
    ENDPOINTS,
    WORKER_METRICS,
    api_checks,
    worker_checks,
)

Reply = tuple[int, dict[str, str], bytes]


def reply(status: int, document: object, version: str = "1.0") -> Reply:
    """A JSON answer."""
    return status, {"X-API-Version": version}, json.dumps(document).encode()


@contextmanager
def server(replies: dict[str, Reply], otherwise: Reply) -> Iterator[str]:
    """A server on a free port that answers paths (without the query) as told."""

    class Handler(BaseHTTPRequestHandler):
        """Answers from the table."""

        def do_GET(self) -> None:
            """Answer."""
            status, headers, body = replies.get(self.path.partition("?")[0], otherwise)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}"
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def api(
    replies: dict[str, Reply], otherwise: Reply, *, login: bool = True, ready: bool = False
) -> dict[str, Finding]:
    """The findings about such an API, by name."""
    with server(replies, otherwise) as url:
        found = run_checks(api_checks(url, ("anna", "secret") if login else None, ready))
    return {finding.check.removeprefix("api "): finding for finding in found}


EVERYTHING = reply(
    200,
    {
        **{name: [] for name in ("metrics", "services", "alerts", "rules", "silences")},
        "count": 0,
        "requests_served": 7,
        "status": "ok",
        "openapi": "3.1.0",
        "paths": {"/health": {"get": {}}, "/stats": {"get": {}}},
    },
)
LOCKED = reply(401, {"title": "Unauthorized"})


def test_an_api_without_fault_passes() -> None:
    found = api({}, EVERYTHING)
    assert found.pop("asks for a password").outcome == "WARN"
    assert {finding.outcome for finding in found.values()} == {"PASS"}
    assert found["/stats"].detail == "requests_served 7"
    assert found["/openapi.json"].detail == "openapi 3.1.0, 2 paths"
    assert len(found) == 4 + len(ENDPOINTS)


def described(
    *, role: str = "reader", media: str = "application/json", required: tuple[str, ...] = ()
) -> dict[str, object]:
    """An operation as the API's description has it."""
    return {
        "x-role": role,
        "parameters": [
            *({"name": name, "in": "query", "required": True} for name in required),
            {"name": "limit", "in": "query", "required": False},
        ],
        "responses": {"200": {"content": {media: {}}}},
    }


def test_every_other_path_that_the_api_describes_is_asked_for() -> None:
    paths = {
        "/sla": {"get": described()},
        "/overview/service": {"get": described(required=("service",))},
        "/": {"get": described(media="text/html")},
        "/audit": {"get": described(role="admin")},
        "/dead-letters": {"get": described(role="admin")},
        "/gone": {"get": described()},
        "/forbidden": {"get": described()},
        "/text": {"get": described()},
        "/newer": {"get": described(required=("colour",))},
        "/rules": {"get": described()},
        "/rules/{name}": {"get": described(required=("name",))},
        "/query": {"post": described()},
    }
    page = (200, {"X-API-Version": "1.0"}, b"<html>")
    found = api(
        {
            "/openapi.json": reply(200, {"openapi": "3.1.0", "paths": paths}),
            "/": page,
            "/text": page,
            "/audit": reply(403, {"title": "Forbidden"}),
            "/forbidden": reply(403, {"title": "Forbidden"}),
            "/gone": reply(404, {"title": "Not Found", "detail": "there is nothing"}),
        },
        EVERYTHING,
    )
    assert "/rules/{name}" not in found
    assert "/query" not in found
    others = {name: found[name] for name in paths if name in found and name != "/rules"}
    assert {name: each.outcome for name, each in others.items()} == {
        "/sla": "PASS",
        "/overview/service": "PASS",
        "/": "PASS",
        "/audit": "SKIP",
        "/dead-letters": "PASS",
        "/gone": "FAIL",
        "/forbidden": "FAIL",
        "/text": "FAIL",
        "/newer": "FAIL",
    }
    assert found["/audit"].detail == "only an admin may ask"
    assert found["/gone"].detail == "404 Not Found there is nothing"
    assert found["/newer"].detail == "verify does not know what to give as colour"


def test_an_api_that_does_not_describe_itself_fails() -> None:
    nothing = reply(200, {"openapi": "3.1.0", "paths": {}})
    finding = api({"/openapi.json": nothing}, EVERYTHING)["/openapi.json"]
    assert (finding.outcome, finding.detail) == ("FAIL", "the answer has no paths")


@pytest.mark.parametrize(("ready", "outcome"), [(False, "WARN"), (True, "FAIL")])
def test_not_being_ready_is_a_failure_only_when_asked_for(ready: bool, outcome: str) -> None:
    not_ready = reply(503, {"status": "not ready", "failed": ["migrations"]})
    finding = api({"/readyz": not_ready}, EVERYTHING, ready=ready)["/readyz"]
    assert (finding.outcome, finding.detail) == (outcome, '503 not ready: ["migrations"]')


@pytest.mark.parametrize(
    ("path", "answer", "told"),
    [
        (
            "/health",
            reply(503, {"status": "unhealthy", "failed": ["database"]}),
            '503 unhealthy: ["data',
        ),
        ("/healthz", reply(500, {"status": "?"}), "500 ?"),
        ("/healthz", (200, {}, b"<html>"), "no JSON object"),
        ("/healthz", (200, {}, b"[]"), "no JSON object"),
        ("/metrics/summary", reply(500, {"title": "Oops", "detail": "no"}), "500 Oops no"),
        ("/metrics/summary", reply(200, {"metrics": []}), "the answer has no count"),
        ("/stats", reply(200, {"requests_served": 1}, version="2.0"), "X-API-Version is 2.0"),
        ("/stats", (200, {}, b'{"requests_served": 1}'), "X-API-Version is None"),
        ("/health-status", (502, {}, b"bad gateway"), "status 502, but no JSON object"),
    ],
)
def test_wrong_answers_fail(path: str, answer: Reply, told: str) -> None:
    finding = api({path: answer}, EVERYTHING)[path]
    assert finding.outcome == "FAIL"
    assert told in finding.detail


def test_what_a_locked_api_says() -> None:
    assert api({}, LOCKED)["asks for a password"].outcome == "PASS"
    assert api({}, LOCKED)["/stats"].detail == "401: the password is wrong"
    assert api({}, LOCKED, login=False)["/stats"].detail == "401: give --user and a password"
    assert api({}, reply(403, {}))["asks for a password"].outcome == "FAIL"


def test_nobody_there() -> None:
    (finding, *_) = run_checks(api_checks("http://127.0.0.1:1", None, False))
    assert (finding.outcome, finding.detail) == ("FAIL", "no answer: Connection refused")


def test_a_worker_must_tell_every_metric() -> None:
    every = "".join(f"# TYPE stacklens_{name} gauge\n" for name in WORKER_METRICS)
    healthy = reply(200, {"status": "healthy"})
    outcomes = {}
    for text in (every, every.replace("# TYPE stacklens_flush_rows gauge\n", "")):
        with server({"/metrics": (200, {}, text.encode())}, healthy) as url:
            *_, finding = run_checks(worker_checks(url, True, metrics_enabled=True))
        outcomes[finding.outcome] = finding.detail
    assert outcomes == {"PASS": "20 of 20 metrics", "FAIL": "missing: stacklens_flush_rows"}


def test_a_worker_without_metrics() -> None:
    with server({"/metrics": reply(404, {})}, reply(200, {"status": "healthy"})) as url:
        assert [f.outcome for f in run_checks(worker_checks(url, True, True))] == [
            "PASS",
            "PASS",
            "FAIL",
        ]
        assert [f.outcome for f in run_checks(worker_checks(url, True, False))] == ["PASS", "PASS"]
