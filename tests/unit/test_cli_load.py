"""`stacklens load` against a real HTTP server that keeps connections, and its figures."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from analytics_service.entrypoints.cli.load import Plan, put_under_load
from analytics_service.entrypoints.cli.load_client import Client, Shot
from analytics_service.entrypoints.cli.load_report import PathFigures, figures_of
from analytics_service.entrypoints.cli.main import run
from analytics_service.entrypoints.cli.stopping import StopSignal
from tests.waiting import wait_until

CUT = 0  # instead of a status: the connection ends without an answer
Answers = Callable[[str, int], int]


@dataclass
class Site:
    """What a server has seen; `answers` gives the status for a path and how often it was asked before."""

    answers: Answers
    is_forgetful: bool = False
    url: str = ""
    connections: int = 0
    paths: Counter[str] = field(default_factory=Counter)
    logins: Counter[str | None] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextlib.contextmanager
def serving(
    answers: Answers = lambda _path, _before: 200, *, forgetful: bool = False
) -> Iterator[Site]:
    """A server; a forgetful one ends its connection after each answer without a word."""
    site = Site(answers, forgetful)

    class Handler(BaseHTTPRequestHandler):
        """Answers as it is told."""

        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            """A connection."""
            super().setup()
            with site.lock:
                site.connections += 1

        def do_GET(self) -> None:
            """A request."""
            with site.lock:
                status = site.answers(self.path, site.paths[self.path])
                site.paths[self.path] += 1
                site.logins[self.headers["Authorization"]] += 1
            if status == CUT:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            self.close_connection = site.is_forgetful

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{listening.server_address[1]}"
    try:
        yield site
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env file, no ~/.netrc, no password of anybody's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STACKLENS_PASSWORD", raising=False)


def loaded(site: Site, *options: str, status: int = 0, requests: int = 40) -> dict[str, Any]:
    """The report of a load of 40 requests by 4 clients."""
    amount = ["--requests", str(requests), "--concurrency", "4", "--output-json", "load.json"]
    assert run(["load", "--base-url", f"{site.url}/", *amount, *options]) == status
    report: dict[str, Any] = json.loads(Path("load.json").read_text())
    return report


def test_every_request_is_made_once_over_few_connections(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STACKLENS_PASSWORD", "se:cret")
    with serving() as site:
        report = loaded(site, "--path", "/a?x=1", "--path", "/b", "--user", "anna")
    # one first look at each path, which is not counted
    assert site.paths == {"/a?x=1": 21, "/b": 21}
    assert site.connections <= 1 + 4
    assert site.logins == {"Basic " + base64.b64encode(b"anna:se:cret").decode(): 42}
    assert (report["ok"], report["requests"], report["concurrency"]) == (True, 40, 4)
    assert [each["path"] for each in report["paths"]] == ["/a?x=1", "/b"]
    for each in report["paths"]:
        assert (each["requests"], each["statuses"], each["errors"]) == (20, {"200": 20}, {})
        latency = each["latency_ms"]
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    assert report["requests_per_second"] == pytest.approx(40 / report["seconds"], rel=0.05)
    told = capsys.readouterr().out
    assert "40 requests in" in told
    assert "0 answers 5xx, 0 without an answer, 0 limited (429)" in told
    assert "se:cret" not in told


def test_default_paths_are_those_of_the_api() -> None:
    with serving() as site:
        loaded(site)
    asked = {path.partition("?")[0] for path in site.paths}
    assert asked == {"/metrics", "/metrics/summary", "/health-status", "/alerts"}


def test_being_limited_is_no_failure_and_told_apart() -> None:
    with serving(lambda _path, before: 429 if before % 2 else 200) as site:
        report = loaded(site, "--path", "/a")
    assert (report["ok"], report["limited"], report["server_errors"]) == (True, 20, 0)
    assert report["paths"][0]["statuses"] == {"200": 20, "429": 20}


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_is_a_failure(status: int) -> None:
    with serving(lambda _path, before: status if before == 7 else 200) as site:
        report = loaded(site, "--path", "/a", status=1)
    assert (report["ok"], report["server_errors"], report["transport_errors"]) == (False, 1, 0)
    assert report["paths"][0]["statuses"] == {"200": 39, str(status): 1}


def test_a_missing_answer_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    # Not even one more try helps: from the 8th request on nothing is answered.
    with serving(lambda _path, before: CUT if before >= 8 else 200) as site:
        report = loaded(site, "--path", "/a", status=1)
    assert report["paths"][0]["statuses"] == {"200": 7}
    assert report["paths"][0]["errors"] == {"the answer broke off": 33}
    assert (report["ok"], report["transport_errors"]) == (False, 33)
    assert "the answer broke off: 33" in capsys.readouterr().out


def test_a_connection_that_ends_between_two_requests_is_no_error() -> None:
    with serving(forgetful=True) as site:
        report = loaded(site, "--path", "/a")
    assert (report["ok"], report["transport_errors"]) == (True, 0)
    assert site.paths == {"/a": 41}


def test_a_client_goes_on_after_an_answer_that_did_not_come_in_time() -> None:
    released = threading.Event()

    def late_at_first(_path: str, before: int) -> int:
        if not before:
            released.wait(20)
        return 200

    with serving(late_at_first) as site, contextlib.closing(Client(site.url, None, 0.2)) as client:
        first = client.ask("/a")
        released.set()
        assert (first.status, first.error) == (None, "no answer in time")
        assert wait_until(lambda: client.ask("/a").status, 20, "it is answered") == 200


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "401: give --user and a password"),
        (404, "/a answers 404: there is nothing to measure"),
        (302, "/a answers 302"),
        (CUT, "/a: the answer broke off"),
    ],
)
def test_what_is_not_worth_measuring(
    status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(lambda _path, _before: status) as site:
        arguments = ["--base-url", site.url, "--requests", "40", "--concurrency", "4"]
        assert run(["load", *arguments, "--path", "/a"]) == 1
    assert told in capsys.readouterr().err
    assert site.paths.total() <= 2  # nothing that a server could take for an attack


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--base-url", "http://127.0.0.1:1", "--requests", "4", "--concurrency", "1"]
    assert run(["load", *arguments]) == 1
    assert "Connection refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("requests", "concurrency", "more"),
    [
        ("0", "1", ()),
        ("100001", "1", ()),
        ("10", "0", ()),
        ("1000", "101", ()),
        ("3", "4", ()),
        ("many", "4", ()),
        ("10", "1", ("--path", "metrics")),
        ("10", "1", ("--path", "//elsewhere.example/")),
        ("10", "1", ("--path", "/a b")),
        ("10", "1", ("--path", "/a\r\nX: y")),
        ("10", "1", ("--path", "/ä")),
        ("10", "1", ("--base-url", "ftp://127.0.0.1")),
        ("10", "1", ("--base-url", "http://anna:secret@127.0.0.1")),
    ],
)
def test_silly_values_are_refused(
    requests: str, concurrency: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--base-url", "http://127.0.0.1:1", "--requests", requests]
    assert run(["load", *arguments, "--concurrency", concurrency, *more]) == 2
    assert "Error: " in capsys.readouterr().err


def test_a_signal_ends_it_with_what_there_is() -> None:
    with serving() as site, StopSignal() as stop:
        stop.stopped = True
        report = put_under_load(Plan(site.url, None, ["/a"], 10, 2), stop)
    assert (report.requests, report.is_well) == (0, False)


def test_login_of_netrc_is_for_exactly_its_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.touch(mode=0o600)
    netrc.write_text("machine 127.0.0.1 login cron password of-netrc\ndefault login x password y\n")
    with serving() as site:
        loaded(site, "--path", "/a")
        login = base64.b64encode(b"cron:of-netrc").decode()
        assert set(site.logins) == {f"Basic {login}"}
        site.logins.clear()
        netrc.write_text(
            "machine other.example login cron password p\ndefault login x password y\n"
        )
        loaded(site, "--path", "/a")
        assert set(site.logins) == {None}
        netrc.write_text("machine 127.0.0.1 login cron password my secret\n")
        capsys.readouterr()
        assert run(["load", "--base-url", site.url, "--requests", "4", "--concurrency", "1"]) == 1
    told = capsys.readouterr().err
    assert ".netrc, near line" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("latencies", "wanted"),
    [
        (range(1, 101), (50, 95, 99, 100)),
        (range(1, 1001), (500, 950, 990, 1000)),
        (range(1, 11), (5, 10, 10, 10)),
        ((7.0,), (7, 7, 7, 7)),
        ((1.0, 2.0), (1, 2, 2, 2)),
        ((), (None, None, None, None)),
    ],
)
def test_percentiles_are_by_nearest_rank(
    latencies: range | tuple[float, ...], wanted: tuple[float | None, ...]
) -> None:
    figures = PathFigures("/a", Counter(), Counter(), tuple(map(float, latencies)))
    assert tuple(figures.percentile_ms(percent) for percent in (50, 95, 99, 100)) == wanted


def test_a_path_without_an_answer_has_dashes() -> None:
    (figures,) = figures_of(["/a"], [Shot("/a", None, 5.0, "gone"), Shot("/a", 429, 1.0)])
    assert figures.row() == ("/a", "2", "-", "-", "-", "-", "429: 1, gone: 1")
    assert figures.as_dict()["latency_ms"] == {"p50": None, "p95": None, "p99": None, "max": None}
