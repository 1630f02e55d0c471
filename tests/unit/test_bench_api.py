"""The bench of the API: it asks for everything there is, lays out what fits together, and times what it should."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from analytics_service.domain.windows import DAY, WINDOWS, Window
from bench import api_cases, api_load, api_measure, api_report, api_traffic
from bench.api_layout import slices
from dashboard_api.app import create_app
from dashboard_api.openapi import describe
from tests.api_support import api_settings
from tests.reference.sketches import distinct


def test_every_get_endpoint_is_measured() -> None:
    app = create_app(api_settings({"API_AUTH_DISABLED": "1"}))
    with app.app_context():
        described = {path for path, item in describe(app)["paths"].items() if "get" in item}
    # A file of the page has a path that changes with its content, and is fetched once.
    assert described - api_cases.routes() == {"/static/{version}/{name}"}
    assert {"/metrics/summary", "/docs/{asset}"} <= described


def test_kinds_of_services_have_their_shares() -> None:
    numbers = [api_traffic.kind_of(number) for number in range(200)]
    assert [numbers.count(kind) / 200 for kind in range(len(api_traffic.KINDS))] == [
        kind.share for kind in api_traffic.KINDS
    ]


def test_what_is_longer_is_the_merge_of_what_is_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = tuple(replace(kind, rate=20.0) for kind in api_traffic.KINDS)
    monkeypatch.setattr(api_traffic, "KINDS", quiet)
    levels = dict(api_traffic.rows_of(1))
    assert list(levels) == [*WINDOWS, DAY]
    ((_, day),) = levels[DAY].items()
    counted = {"total_requests", "latency_count", "failed_requests", "high_risk_count"}
    for window in WINDOWS:
        rows = list(levels[window].values())
        assert all(sum(row[name] for row in rows) == day[name] > 0 for name in counted)
        assert {start % window.seconds for start in levels[window]} == {0}
        for name in ("users", "ips"):
            columns = (f"{name}_sketch", f"{name}_recent")
            everybody = distinct(*(row[column] for row in rows for column in columns))
            assert everybody == pytest.approx(distinct(day[f"{name}_sketch"]), rel=0.03)


@pytest.mark.parametrize(
    ("rate", "windows", "share"), [(600.0, WINDOWS[1:], 0.7), (20.0, WINDOWS[:1], 0.0)]
)
def test_what_a_large_sketch_lacks_lies_beside_it(
    monkeypatch: pytest.MonkeyPatch, rate: float, windows: Sequence[Window], share: float
) -> None:
    """Half a dozen users a flush of a window with hundreds; a dozen in a minute are written whole."""
    kinds = tuple(replace(kind, rate=rate) for kind in api_traffic.KINDS)
    monkeypatch.setattr(api_traffic, "KINDS", kinds)
    levels = dict(api_traffic.rows_of(6))
    for window in windows:
        rows = levels[window].values()
        beside = [row for row in rows if row["users_recent"] is not None]
        assert len(beside) >= share * len(rows)
        assert (beside == []) == (share == 0)
        for row in rows:
            together = distinct(row["users_sketch"], row["users_recent"])
            assert together == pytest.approx(row["unique_users"], rel=0.05)


@pytest.mark.parametrize(
    ("window", "start_s", "end_s", "longest_s", "expected"),
    [
        (WINDOWS[0], 0, 120, 3600, [(0, 120)]),
        (WINDOWS[0], 3500, 7300, 3600, [(3480, 3600), (3600, 7200), (7200, 7320)]),
        (WINDOWS[2], 82_800, 90_000, 86_400, [(82_800, 86_400), (86_400, 90_000)]),
        (DAY, 86_400, 259_200, 3600, [(86_400, 172_800), (172_800, 259_200)]),
        (WINDOWS[0], 60, 60, 3600, []),
    ],
)
def test_slices_end_where_a_day_does(
    window: Window, start_s: int, end_s: int, longest_s: int, expected: list[tuple[int, int]]
) -> None:
    found = [(each.start_s, each.end_s) for each in slices(window, start_s, end_s, longest_s)]
    assert found == expected


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"x" * 5000
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def answering() -> Iterator[api_load.Target]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield api_load.Target("127.0.0.1", server.server_port, "anna", "secret")
        server.shutdown()
        thread.join()


def test_paced_clients_ask_at_their_pace_and_saturating_ones_at_once() -> None:
    with answering() as target:
        paced = api_load.run(target, "/", clients=4, seconds=0.6, pace_s=0.2)
        saturated = api_load.run(target, "/", clients=2, seconds=0.3, pace_s=None)
    # Three times each at their pace; a thread that stalls at the beginning or the end moves that by one.
    assert 4 * 2 <= len(paced.seconds) <= 4 * 4
    assert len(saturated.seconds) > 2
    assert paced.bytes == 5000
    assert min(paced.seconds) > 0


def test_an_answer_that_is_not_200_has_no_figure() -> None:
    with answering() as target, pytest.raises(api_load.NoAnswer, match="404"):
        api_load.run(target, "/missing", clients=1, seconds=0.2, pace_s=None)


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", None),
        (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 3\r\n\r\nabc", 3),
        (b"HTTP/1.1 204 No Content\r\ncontent-length:0\r\n\r\n", 0),
    ],
)
def test_an_answer_is_complete_with_its_last_byte(received: bytes, expected: int | None) -> None:
    assert api_load.body_length(received) == expected


def test_an_answer_without_its_length_is_refused() -> None:
    with pytest.raises(api_load.NoAnswer, match="without a length"):
        api_load.body_length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def times(p95_ms: float) -> api_measure.Times:
    return api_measure.Times(100, 1.0, p95_ms, p95_ms + 1, p95_ms + 2, 10.0)


def measured(
    p95_ms: float | list[float], limit_ms: float, alone: api_measure.Times | None = None
) -> api_measure.Measured:
    rounds = [times(each) for each in (p95_ms if isinstance(p95_ms, list) else [p95_ms])]
    return api_measure.Measured(
        "/a", "/a", limit_ms, 10, 0.5, 9.0, rounds, times(400.0), 1.5, None, alone
    )


def test_the_promise_is_about_paced_clients_and_a_lone_one() -> None:
    assert measured(30.0, 30.0).kept
    assert not measured(30.1, 30.0).kept
    assert not measured(1.0, 200.0, times(201.0)).kept
    assert measured(1.0, 30.0, times(31.0)).kept


def test_a_stall_in_one_round_of_three_is_not_the_figure_and_is_shown() -> None:
    one = measured([400.0, 8.0, 10.0], 30.0)
    assert one.kept
    assert (one.middle(95), one.spread(95)) == (10.0, (8.0, 400.0))
    assert "8.0-400.0" in api_report.table([one])
    assert not measured([400.0, 8.0, 31.0], 30.0).kept


def test_the_table_has_a_line_for_each_way_of_asking() -> None:
    text = api_report.table([measured(31.0, 30.0), measured(5.0, 200.0, times(7.0))])
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["/a", "/a", "one"]
    assert "MISS" in lines[2]
    assert "pass" in lines[3]
    assert "400.0" in lines[2]
