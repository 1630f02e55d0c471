"""Guardrails: what files may hold, what is allowed, and the command on metrics whose growth is known."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_service.domain.guardrails import (
    METRICS,
    Guardrail,
    GuardrailFileError,
    Today,
    baseline_from,
    contract_from,
    judge,
)
from analytics_service.entrypoints.cli.guardrail_figures import Growth
from analytics_service.entrypoints.cli.main import run
from tests.exported_metrics import asked_for, exported

ROOT = Path(__file__).resolve().parents[2]
HIGHER: dict[str, Any] = {"metric": "consumer_lag", "direction": "higher_is_worse"}
LOWER: dict[str, Any] = {"metric": "events_stored_per_second", "direction": "lower_is_worse"}


@pytest.mark.parametrize(
    ("rule", "baseline", "worst"),
    [
        # higher is worse: the worst value that passes
        ({**HIGHER, "max_ratio": 2}, 10.0, 20.0),
        ({**HIGHER, "max_absolute": 5}, 10.0, 15.0),
        ({**HIGHER, "max_ratio": 2, "max_absolute": 5}, 10.0, 20.0),  # one is enough
        ({**HIGHER, "max_ratio": 2, "max_absolute": 5}, 0.0, 5.0),
        ({**HIGHER, "max_ratio": 1}, 0.0, 0.0),
        ({**HIGHER, "limit": 7}, None, 7.0),
        ({**HIGHER, "limit": 7}, 100.0, 7.0),  # whatever the baseline is
        ({**HIGHER, "max_ratio": 2, "limit": 15}, 10.0, 15.0),
        ({**HIGHER, "max_ratio": 2, "limit": 50}, 10.0, 20.0),
        # lower is worse
        ({**LOWER, "max_ratio": 2}, 100.0, 50.0),
        ({**LOWER, "max_absolute": 80}, 100.0, 20.0),
        ({**LOWER, "max_ratio": 2, "max_absolute": 80}, 100.0, 20.0),
        ({**LOWER, "limit": 30}, None, 30.0),
        ({**LOWER, "max_ratio": 10, "limit": 30}, 100.0, 30.0),
    ],
)
def test_the_worst_that_passes(rule: dict[str, Any], baseline: float | None, worst: float) -> None:
    guardrail = Guardrail(**rule)
    saved = {} if baseline is None else {rule["metric"]: baseline}
    step = 0.001 if guardrail.direction == "higher_is_worse" else -0.001
    at, beyond = judge(guardrail, saved, Today(worst)), judge(guardrail, saved, Today(worst + step))
    assert (at.outcome, at.allowed, at.baseline) == ("PASS", worst, baseline)
    assert (beyond.outcome, beyond.detail) == ("FAIL", "worse than allowed")


@pytest.mark.parametrize(
    ("more", "saved", "today", "outcome", "detail"),
    [
        (
            {"max_ratio": 2},
            {},
            Today(1.0),
            "FAIL",
            "the baseline has no such figure: save a new one",
        ),
        ({"limit": 2}, {}, Today(None, "no answer"), "FAIL", "no figure today: no answer"),
        ({"limit": 2, "required": False}, {}, Today(None, "idle"), "SKIP", "no figure today: idle"),
        ({"limit": 2, "required": False}, {}, Today(3.0), "FAIL", "worse than allowed"),
    ],
)
def test_what_cannot_be_compared(
    more: dict[str, Any], saved: dict[str, float], today: Today, outcome: str, detail: str
) -> None:
    verdict = judge(Guardrail(**HIGHER, **more), saved, today)
    assert (verdict.outcome, verdict.detail) == (outcome, detail)


def test_a_contract_takes_the_direction_of_its_metric_or_its_own() -> None:
    stored, lag, latency = contract_from(
        {
            "guardrails": [
                {"metric": "events_stored_per_second", "max_ratio": 2},
                {"metric": "consumer_lag", "limit": 0, "direction": "lower_is_worse"},
                {
                    "metric": "api_latency_p95_ms",
                    "path": "/stats?x=1",
                    "limit": 5,
                    "required": False,
                },
            ]
        }
    )
    assert stored == Guardrail(**LOWER, max_ratio=2)
    assert lag.direction == "lower_is_worse"
    assert (latency.figure, latency.required) == ("api_latency_p95_ms /stats?x=1", False)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("consumer_lag", "must be a mapping"),
        ({}, "metric: must be one of api_latency_p50_ms"),
        ({"metric": "cpu", "limit": 1}, "metric: must be one of"),
        ({"metric": ["consumer_lag"], "limit": 1}, "metric: must be one of"),
        ({"metric": "consumer_lag"}, "must have max_ratio, max_absolute or limit"),
        ({"metric": "consumer_lag", "max": 1, "limit": 1}, "max: there is no such field"),
        ({"metric": "consumer_lag", "max_ratio": 0.5}, "max_ratio: must be a number from 1 on"),
        ({"metric": "consumer_lag", "max_ratio": "2"}, "max_ratio: must be a number"),
        ({"metric": "consumer_lag", "max_ratio": True}, "max_ratio: must be a number"),
        ({"metric": "consumer_lag", "limit": float("nan")}, "limit: must be a number"),
        ({"metric": "consumer_lag", "limit": float("inf")}, "limit: must be a number"),
        ({"metric": "consumer_lag", "limit": 10**400}, "limit: must be a number"),
        ({"metric": "consumer_lag", "max_absolute": -1}, "max_absolute: must be a number from 0"),
        ({"metric": "consumer_lag", "limit": 1, "direction": "up"}, "direction: must be one of"),
        ({"metric": "consumer_lag", "limit": 1, "required": "no"}, "required: must be true or false"),
        ({"metric": "consumer_lag", "limit": 1, "path": "/a"}, "path: only with api_latency_"),
        ({"metric": "api_latency_p50_ms", "limit": 1}, "path: is missing"),
        ({"metric": "api_latency_p50_ms", "limit": 1, "path": "a"}, "path: must begin with one /"),
        ({"metric": "api_latency_p50_ms", "limit": 1, "path": "//b"}, "path: must begin with one /"),
        ({"metric": "api_latency_p50_ms", "limit": 1, "path": "/a b"}, "path: must begin with one /"),
        ({"metric": "api_latency_p50_ms", "limit": 1, "path": "/a\r\nb"}, "path: must begin"),
    ],
)  # fmt: skip
def test_every_problem_of_a_contract_is_found(entry: object, told: str) -> None:
    with pytest.raises(GuardrailFileError) as caught:
        contract_from({"guardrails": [{"metric": "nonsense"}, entry]})
    assert caught.value.problems[0].startswith("guardrail 1 (nonsense): metric: ")
    assert any(
        problem.startswith("guardrail 2") and told in problem for problem in caught.value.problems
    )


@pytest.mark.parametrize("document", [None, [], "x", {}, {"guardrails": {}}, {"guardrails": []}])
def test_a_contract_without_guardrails(document: object) -> None:
    with pytest.raises(GuardrailFileError, match="a list called `guardrails`"):
        contract_from(document)


def test_a_figure_is_guarded_once() -> None:
    entry = {"metric": "consumer_lag", "limit": 1}
    with pytest.raises(GuardrailFileError, match="consumer_lag is there twice"):
        contract_from({"guardrails": [entry, entry]})


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (None, "as --save writes it"),
        ({"version": 1}, "as --save writes it"),
        ({"figures": {}}, "version must be 1, not None"),
        ({"version": 2, "figures": {}}, "version must be 1, not 2"),
        ({"version": 1, "figures": {"a": "1"}}, "a: must be a number"),
        ({"version": 1, "figures": {"a": None}}, "a: must be a number"),
        ({"version": 1, "figures": {"a": -1}}, "a: must be a number"),
    ],
)
def test_an_unusable_baseline(document: object, told: str) -> None:
    with pytest.raises(GuardrailFileError, match=told):
        baseline_from(document)


def test_the_example_names_every_metric_and_can_be_used() -> None:
    text = (ROOT / "docs" / "guardrails.example.yaml").read_text(encoding="utf-8")
    assert {rule.metric for rule in contract_from(yaml.safe_load(text))} == set(METRICS)


def test_the_figures_are_of_metrics_that_there_are() -> None:
    folder = ROOT / "python-services/analytics_service/entrypoints/cli"
    named = asked_for((folder / "guardrail_figures.py").read_text(encoding="utf-8"))
    series = {name.removesuffix("_bucket") for name in exported()} | exported()
    assert named
    assert named <= series


def histogram(*counts: float) -> dict[tuple[str, tuple[tuple[str, str], ...]], list[float]]:
    """Cumulative counts up to 0.1, 0.2, 0.5 and without end."""
    bounds = ("0.1", "0.2", "0.5", "+Inf")
    return {
        ("h_bucket", (("le", bound),)): [count] for bound, count in zip(bounds, counts, strict=True)
    }


@pytest.mark.parametrize(
    ("before", "after", "share", "value"),
    [
        ((0, 0, 0, 0), (10, 10, 10, 10), 0.5, 0.05),
        ((5, 5, 5, 5), (15, 15, 15, 15), 0.5, 0.05),  # only what came in between
        ((0, 0, 0, 0), (0, 10, 10, 10), 0.5, 0.15),
        ((0, 0, 0, 0), (0, 0, 10, 10), 0.9, 0.47),
        ((0, 0, 0, 0), (90, 100, 100, 100), 0.95, 0.15),
        ((0, 0, 0, 0), (0, 0, 0, 10), 0.5, 0.5),  # nobody knows how far beyond
        ((7, 8, 9, 9), (7, 8, 9, 9), 0.5, None),
    ],
)
def test_a_quantile_between_two_looks(
    before: tuple[float, ...], after: tuple[float, ...], share: float, value: float | None
) -> None:
    found = Growth(histogram(*before), histogram(*after)).quantile("h", share)
    assert found == (None if value is None else pytest.approx(value))


def test_growth_of_several_processes_one_of_which_began_again() -> None:
    before = {("c", (("k", "a"),)): [10.0, 100.0], ("g", ()): [1.0, 2.0]}
    after = {
        ("c", (("k", "a"),)): [15.0, 3.0],
        ("c", (("k", "b"),)): [2.0, 0.0],
        ("g", ()): [4.0, 3.0],
    }
    growth = Growth(before, after)
    assert growth.grown("c") == 5 + 3 + 2
    assert growth.grown("c", k="b") == 2
    assert (growth.total("g"), growth.highest("g")) == (7.0, 4.0)
    assert (growth.total("x"), growth.highest("x")) == (None, None)


class Stage:
    """Metrics of a worker and an API on one server, each look the next of a list; and the API itself."""

    def __init__(self) -> None:
        self.worker = [worker_text(), worker_text(stored=600, dead=6, flushes=12)]
        self.api = [api_text(100, 0), api_text(190, 10)]
        self.status = 200
        self.asked: Counter[str] = Counter()
        self.url = ""

    def page(self, path: str) -> tuple[int, str]:
        """Status and body."""
        self.asked[path] += 1
        texts = {"/worker/metrics": self.worker, "/api-metrics/metrics": self.api}.get(path)
        if texts is None:
            return self.status, "{}"
        return 200, texts[min(self.asked[path], len(texts)) - 1]


def worker_text(stored: int = 0, dead: int = 0, flushes: int = 0, lag: int = 7) -> str:
    """What a worker tells; all flushes took 0.1 to 0.2 s, all events were visible after 0.5 s to 1 s."""
    return "\n".join(
        [
            "# TYPE stacklens_events_consumed counter",
            f"stacklens_events_consumed_total {stored + dead}",
            "# TYPE stacklens_events_stored counter",
            f"stacklens_events_stored_total {stored}",
            "# TYPE stacklens_events_dead_lettered counter",
            f'stacklens_events_dead_lettered_total{{reason="empty"}} {dead}',
            "# TYPE stacklens_consumer_lag gauge",
            f'stacklens_consumer_lag{{partition="0"}} {lag}',
            'stacklens_consumer_lag{partition="1"} 3',
            "# TYPE stacklens_visible_latency_seconds histogram",
            'stacklens_visible_latency_seconds_bucket{le="0.5"} 0',
            f'stacklens_visible_latency_seconds_bucket{{le="1.0"}} {flushes}',
            f'stacklens_visible_latency_seconds_bucket{{le="+Inf"}} {flushes}',
            f"stacklens_visible_latency_seconds_count {flushes}",
            f"stacklens_visible_latency_seconds_sum {flushes}",
            "# TYPE stacklens_flush_seconds histogram",
            'stacklens_flush_seconds_bucket{le="0.1"} 0',
            f'stacklens_flush_seconds_bucket{{le="0.2"}} {flushes}',
            f'stacklens_flush_seconds_bucket{{le="+Inf"}} {flushes}',
            f"stacklens_flush_seconds_count {flushes}",
            f"stacklens_flush_seconds_sum {flushes}",
            "# TYPE stacklens_flush_failures counter",
            'stacklens_flush_failures_total{cause="database"} 4',
            "# TYPE stacklens_dead_letters_pending gauge",
            "stacklens_dead_letters_pending 6",
            "# TYPE stacklens_dead_letters_oldest_seconds gauge",
            "stacklens_dead_letters_oldest_seconds 90",
            "# TYPE stacklens_outbox_backlog gauge",
            "stacklens_outbox_backlog 0",
            "",
        ]
    )


def api_text(good: int, bad: int) -> str:
    """What an API tells."""
    name = "stacklens_api_requests_total"
    return (
        "# TYPE stacklens_api_requests counter\n"
        f'{name}{{route="/a",method="GET",status="200"}} {good}\n'
        f'{name}{{route="/a",method="GET",status="503"}} {bad}\n'
    )


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The server, and a directory without .env, ~/.netrc and password."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STACKLENS_PASSWORD", raising=False)
    with staged() as found:
        yield found


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    """A stage on a free port."""
    stage = Stage()

    class Handler(BaseHTTPRequestHandler):
        """Answers from the stage."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """A request."""
            status, text = stage.page(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    stage.url = f"http://127.0.0.1:{listening.server_address[1]}"
    try:
        yield stage
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def guarded(stage: Stage, *options: str) -> int:
    """Run the command on the stage for a second; its exit status."""
    stage.asked.clear()
    return run(
        [
            "guardrails", "--baseline", "good.json", "--seconds", "1", "--base-url", f"{stage.url}/site",
            "--worker-url", f"{stage.url}/worker", "--api-metrics-url", f"{stage.url}/api-metrics", *options,
        ]
    )  # fmt: skip


def contract(*entries: dict[str, Any]) -> list[str]:
    """The options for a contract of these."""
    Path("contract.yaml").write_text(yaml.safe_dump({"guardrails": list(entries)}))
    return ["--contract", "contract.yaml"]


def test_a_baseline_of_everything(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(stage, "--save") == 0
    saved = json.loads(Path("good.json").read_text())
    assert saved["version"] == 1
    figures = saved["figures"]
    rate = figures.pop("events_stored_per_second")
    assert 600 / 20 < rate <= 600 / 1  # in one second, or in more on a busy machine
    latencies = {name: value for name, value in figures.items() if name.startswith("api_latency")}
    assert len(latencies) == 3 * 4
    assert all(value > 0 for value in latencies.values())
    # 12 flushes in 0.1..0.2 and 0.5..1 s; 10 of 100 answers were 503; 6 of 606 messages were bad
    assert {name: round(value, 6) for name, value in figures.items() - latencies.items()} == {
        "api_error_percent": 10.0,
        "consumer_lag": 10.0,
        "visible_latency_p50_ms": 750.0,
        "visible_latency_p99_ms": 995.0,
        "flush_p95_ms": 195.0,
        "flush_failure_percent": 0.0,
        "dead_letter_percent": round(600 / 606, 6),
        "dead_letters_pending": 6.0,
        "dead_letters_oldest_seconds": 90.0,
        "outbox_backlog": 0.0,
    }
    assert stage.asked["/site/health-status"] == 25
    assert "saved 23 figures to good.json" in capsys.readouterr().out


def test_what_is_kept_and_what_is_not(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    options = contract(
        {"metric": "consumer_lag", "max_ratio": 2},
        {"metric": "dead_letters_pending", "limit": 10},
        {"metric": "api_latency_max_ms", "path": "/stats", "limit": 60_000},
    )
    assert guarded(stage, *options, "--save") == 0
    assert set(json.loads(Path("good.json").read_text())["figures"]) == {
        "consumer_lag", "dead_letters_pending", "api_latency_max_ms /stats",
    }  # fmt: skip
    assert guarded(stage, *options, "--output-json", "report.json") == 0
    assert stage.asked["/site/stats"] == 25
    assert stage.asked["/api-metrics/metrics"] == 0  # the contract asks for nothing of it
    assert "3 guardrails, 0 failed" in capsys.readouterr().out
    stage.worker = [worker_text(lag=18)]  # 21 in all, 20 are allowed
    assert guarded(stage, *options, "--output-json", "report.json") == 1
    report = json.loads(Path("report.json").read_text())
    assert report["ok"] is False
    lag, pending, _ = report["guardrails"]
    assert lag == {
        "figure": "consumer_lag", "baseline": 10.0, "today": 21.0, "allowed": 20.0, "outcome": "FAIL",
        "detail": "worse than allowed",
    }  # fmt: skip
    assert pending["outcome"] == "PASS"
    assert "3 guardrails, 1 failed" in capsys.readouterr().out


def test_a_figure_that_cannot_be_had(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    idle = worker_text()
    stage.worker, stage.status = [idle], 404
    options = contract(
        {"metric": "flush_p95_ms", "limit": 1000},
        {"metric": "dead_letter_percent", "limit": 1, "required": False},
        {"metric": "api_latency_p50_ms", "path": "/stats", "limit": 1000},
        {"metric": "api_error_percent", "limit": 50},
    )
    Path("good.json").write_text('{"version": 1, "figures": {}}')
    assert guarded(stage, *options, "--api-metrics-url", "http://127.0.0.1:1") == 1
    shown = [line.split(None, 2) for line in capsys.readouterr().out.splitlines()[1:3]]
    assert [line[:2] for line in shown] == [
        ["flush_p95_ms", "FAIL"],
        ["dead_letter_percent", "SKIP"],
    ]
    assert guarded(stage, *options, "--save", "--output-json", "report.json") == 1
    told = capsys.readouterr().err
    assert "no flush_p95_ms: nothing happened" in told
    assert "no api_latency_p50_ms /stats: status 404" in told
    assert "stacklens: no baseline is saved" in told
    assert json.loads(Path("good.json").read_text())["figures"] == {}


def test_nobody_there(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = ["--worker-url", "http://127.0.0.1:1"]
    assert run(["guardrails", "--baseline", "good.json", "--save", "--seconds", "1", *nowhere]) == 1
    assert "no consumer_lag: http://127.0.0.1:1/metrics: no answer: Connection refused" in (
        capsys.readouterr().err
    )
    assert not Path("good.json").exists()
    stage.status = 404
    assert guarded(stage, *contract({"metric": "consumer_lag", "limit": 1}), "--save",
                   "--worker-url", f"{stage.url}/site") == 1  # fmt: skip
    assert f"no consumer_lag: {stage.url}/site/metrics: status 404" in capsys.readouterr().err
    stage.worker = ["this is { no metrics"]
    assert guarded(stage, *contract({"metric": "consumer_lag", "limit": 1}), "--save") == 1
    assert "no metrics in the form of Prometheus" in capsys.readouterr().err


def test_workers_are_added_up(stage: Stage) -> None:
    stage.worker = [
        worker_text(lag=7),
        worker_text(lag=1),
        worker_text(stored=100, lag=7),
        worker_text(stored=50, lag=1),
    ]
    options = contract(
        {"metric": "consumer_lag", "limit": 0}, {"metric": "dead_letters_pending", "limit": 0}
    )
    assert guarded(stage, *options, "--worker-url", f"{stage.url}/worker", "--save") == 0
    # each has a partition 1 of its own here; of dead letters all workers say the same
    assert json.loads(Path("good.json").read_text())["figures"] == {
        "consumer_lag": 7 + 3 + 1 + 3, "dead_letters_pending": 6,
    }  # fmt: skip


def test_a_wrong_password_is_tried_once(stage: Stage) -> None:
    stage.status = 401
    options = contract({"metric": "api_latency_p50_ms", "path": "/stats", "limit": 1000})
    assert guarded(stage, *options, "--save") == 1
    assert stage.asked["/site/stats"] == 1


@pytest.mark.parametrize(
    ("baseline", "text", "told"),
    [
        (
            None,
            "guardrails: [{metric: consumer_lag, limit: 1}]",
            "good.json: there is none; --save",
        ),
        ("{", "guardrails: [{metric: consumer_lag, limit: 1}]", "good.json: is not YAML"),
        ("[]", "guardrails: [{metric: consumer_lag, limit: 1}]", "good.json: must be a baseline"),
        ("{}", "guardrails: [", "contract.yaml: is not YAML"),
        ("{}", "guardrails: [{metric: x}]", "contract.yaml: guardrail 1 (x): metric: must be"),
        ("{}", "\udcff", "contract.yaml: is not UTF-8"),
        ("{}", None, "File 'contract.yaml' does not exist"),
    ],
)
def test_files_that_cannot_be_used_are_status_2(
    stage: Stage,
    baseline: str | None,
    text: str | None,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, content in (("good.json", baseline), ("contract.yaml", text)):
        if content is not None:
            Path(name).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert guarded(stage, "--contract", "contract.yaml") == 2
    assert told in capsys.readouterr().err
    assert not stage.asked


def test_wrong_usage(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(stage) == 2
    assert "--contract is needed, or --save" in capsys.readouterr().err
    options = contract({"metric": "api_latency_p50_ms", "path": "/stats", "limit": 1000})
    assert run(["guardrails", "--baseline", "good.json", "--save", *options]) == 2
    assert "--base-url is needed" in capsys.readouterr().err
