"""`notify_alert` and `stacklens health-check`: what people are told, on fakes of the channels over real sockets."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analytics_service.alerting.text_message import TextMessage, send_text
from analytics_service.config import load_settings
from analytics_service.domain.notices import Outcome
from analytics_service.entrypoints.cli import notify_alert as module
from analytics_service.entrypoints.cli.main import run, run_program
from analytics_service.entrypoints.cli.notify_alert import notify_alert
from tests.fakes.rules import Reply
from tests.fakes.smtp import FakeSmtp
from tests.fakes.webhooks import FakeWebhooks
from tests.unit.test_cli_verify import Reply as Page
from tests.unit.test_cli_verify import reply, server

CHECKOUT = Path(__file__).resolve().parents[2]
KEY = "0123456789abcdef0123456789abcdef"
MAIL_PASSWORD = "mail-pass-1234"
HOST = os.uname().nodename
CHANNELS = ("SLACK_WEBHOOK_URL", "SMTP_HOST", "ALERT_EMAIL_TO", "PAGERDUTY_SERVICE_KEY")


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No .env file, no channel on, nothing on standard input."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in CHANNELS:
        monkeypatch.delenv(name, raising=False)
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWebhooks]:
    """Slack, switched on; PagerDuty as well as soon as it has a key."""
    with FakeWebhooks(routing_key=KEY) as fake:
        monkeypatch.setenv("SLACK_WEBHOOK_URL", fake.slack_url)
        monkeypatch.setenv("PAGERDUTY_EVENTS_URL", fake.pagerduty_url)
        yield fake


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSmtp]:
    """A mail server, switched on."""
    with FakeSmtp(tls="none") as fake:
        for name, value in {
            "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(fake.port), "SMTP_TLS": "none",
            "ALERT_EMAIL_TO": "ops@example.com",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield fake


def told(*arguments: str) -> int:
    """Run the program; its exit status."""
    return run_program(notify_alert, "notify_alert", arguments)


@contextmanager
def typed(content: bytes | None) -> Iterator[io.TextIOWrapper]:
    """Standard input as a pipe with this in it; None: a pipe that nobody ever writes to."""
    reading, writing = os.pipe()
    if content is not None:
        os.write(writing, content)
        os.close(writing)
    with os.fdopen(reading) as stream:
        yield stream
    if content is None:
        os.close(writing)


def test_every_channel_that_is_on_is_told_the_text(
    web: FakeWebhooks,
    mail: FakeSmtp,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PAGERDUTY_SERVICE_KEY", KEY)
    assert told("the backup", "failed <!channel> & more") == 0
    (slack,) = web.slack.requests.all
    assert slack.json["text"] == "[CRITICAL] the backup failed &lt;!channel&gt; &amp; more"
    assert HOST in json.dumps(slack.json["attachments"])
    (sent,) = mail.wait(1)
    assert sent.message["Subject"] == "[CRITICAL] the backup failed <!channel> & more"
    assert sent.recipients == ("ops@example.com",)
    (event,) = web.pagerduty.requests.all
    payload = event.json["payload"]
    assert (event.status, event.json["event_action"]) == (202, "trigger")
    assert payload["summary"] == "the backup failed <!channel> & more"
    assert (payload["severity"], payload["source"]) == ("critical", HOST)
    assert capsys.readouterr().out == "told: slack, email, pagerduty\n"
    # What is said of rules and metrics has no place in it.
    everything = slack.body + sent.content + event.body
    assert not [word for word in (b"threshold", b"windows", b"no data") if word in everything]


def test_the_same_text_is_the_same_incident(
    web: FakeWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGERDUTY_SERVICE_KEY", KEY)
    for text in ("disk full", "disk full", "disk broken"):
        assert told(text, "--severity", "warning") == 0
    first, again, other = (each.json for each in web.pagerduty.requests.all)
    assert first["dedup_key"] == again["dedup_key"] != other["dedup_key"]
    assert first["payload"]["severity"] == "warning"


def test_another_machine_may_be_named(web: FakeWebhooks) -> None:
    assert told("--host", "db-7") == 0
    (slack,) = web.slack.requests.all
    assert slack.json["text"] == "[CRITICAL] StackLens: a check on db-7 has failed"
    assert "*From:* db-7" in slack.json["attachments"][0]["blocks"][0]["text"]["text"]


@pytest.mark.parametrize(
    ("arguments", "piped", "text"),
    [
        ((), b"", f"StackLens: a check on {HOST} has failed"),
        ((), None, f"StackLens: a check on {HOST} has failed"),
        ((), b"  two\nlines \n", "two lines"),
        (("-",), b"from the pipe", "from the pipe"),
        (("-",), b"", f"StackLens: a check on {HOST} has failed"),
        (("said",), b"not read", "said"),
        ((" ",), b"not read", f"StackLens: a check on {HOST} has failed"),
        ((), b"\xff\x00\x1b[31mred", "� [31mred"),
        ((), b"x" * 30_000, "x" * 999 + "…"),
    ],
)
def test_where_the_text_comes_from(
    arguments: tuple[str, ...],
    piped: bytes | None,
    text: str,
    web: FakeWebhooks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.05)
    with typed(piped) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert told(*arguments) == 0
    (slack,) = web.slack.requests.all
    assert slack.json["attachments"][0]["fallback"] == slack.json["text"]
    # Slack's text is cut at 1,000, with the tag.
    assert slack.json["text"].removesuffix("…") in f"[CRITICAL] {text}"
    assert len(slack.json["text"]) >= min(1000, len(text))


def test_nothing_configured_is_said_and_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert told("anything") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        "notify_alert: nobody was told, no channel is on: set SLACK_WEBHOOK_URL"
    )


def test_a_broken_setting_is_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "hooks.example/secret-part")
    assert told("anything") == 2
    said = capsys.readouterr().err
    assert said.startswith("notify_alert: ")
    assert "SLACK_WEBHOOK_URL" in said
    assert "secret-part" not in said


def test_who_was_not_told_is_named_and_no_secret_is(
    web: FakeWebhooks,
    mail: FakeSmtp,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setenv("PAGERDUTY_SERVICE_KEY", KEY)
    web.slack.always = Reply(404, f"no_service {web.slack_url}")
    web.pagerduty.always = Reply(400, json.dumps({"errors": [f"bad key {KEY}"]}))
    assert told("anything") == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert "slack: Slack answered 404" in said.err
    assert "pagerduty: PagerDuty answered 400" in said.err
    assert said.err.endswith("Told: email\n")
    assert len(mail.wait(1)) == 1
    assert (len(web.slack.requests), len(web.pagerduty.requests)) == (
        1,
        1,
    )  # a no is not asked again
    for secret in (KEY, "not-a-real-webhook"):
        assert secret not in said.err + caplog.text


def send_to_slack(waited: list[float]) -> Outcome:
    """What came of a text to Slack; waits are written down instead of being waited."""
    message = TextMessage("words", "host-1", "info", 1_769_828_400.0)
    return send_text(load_settings(), message, waited.append)["slack"]


@pytest.mark.parametrize(
    ("failures", "result", "requests"), [(0, "sent", 1), (2, "sent", 3), (3, "retry", 3)]
)
def test_what_fails_for_the_moment_is_tried_three_times(
    failures: int, result: str, requests: int, web: FakeWebhooks
) -> None:
    waited: list[float] = []
    web.slack.script(*[Reply(503, "later")] * failures)
    assert send_to_slack(waited).result == result
    assert len(web.slack.requests) == requests
    assert len(waited) == requests - 1
    assert all(0 < each <= 10 for each in waited)


def test_a_wait_that_is_asked_for_is_kept_short(web: FakeWebhooks) -> None:
    waited: list[float] = []
    web.slack.script(Reply(429, "rate_limited", {"Retry-After": "3600"}))
    assert send_to_slack(waited).result == "sent"
    assert waited == [10.0]


def test_the_program_is_installed_under_its_name() -> None:
    scripts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["notify_alert"] == "analytics_service.entrypoints.cli.notify_alert:main"
    done = subprocess.run(
        [sys.executable, "-m", "analytics_service.entrypoints.cli.notify_alert", "words"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "python-services")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("notify_alert: nobody was told")


def test_help_shows_the_line_of_cron(capsys: pytest.CaptureFixture[str]) -> None:
    assert told("--help") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: notify_alert [OPTIONS] [TEXT]...")
    assert "|| notify_alert" in shown


HEALTHY = reply(200, {"status": "healthy"})


@pytest.mark.parametrize(
    ("page", "line"),
    [
        (
            reply(503, {"status": "unhealthy", "failed": ["database"]}),
            'status 503, unhealthy: ["database"]',
        ),
        (reply(200, {"status": "unhealthy"}), "status 200, unhealthy"),
        (reply(503, {"status": "healthy"}), "status 503, healthy"),
        (reply(503, {"status": "un\n\x1b[31mhealthy"}), "status 503, un\\n\\x1b[31mhealthy"),
        ((502, {}, b"bad gateway"), "status 502, but no JSON object: b'bad gateway'"),
        (
            (200, {"Content-Length": "999"}, b"{}"),
            "no whole answer: IncompleteRead",
        ),
    ],
)
def test_an_unhealthy_api_is_one_line_and_status_1(
    page: Page, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with server({"/health": page}, HEALTHY) as url:
        assert run(["health-check", "--base-url", url]) == 1
    assert capsys.readouterr().out == f"StackLens at {url} is not healthy: {line}\n"


def test_a_healthy_api_is_told_to_nobody(
    web: FakeWebhooks, capsys: pytest.CaptureFixture[str]
) -> None:
    with server({}, HEALTHY) as url:
        assert run(["health-check", "--base-url", f"{url}/", "--notify"]) == 0
    assert capsys.readouterr() == ("healthy\n", "")
    assert web.slack.requests.all == []


def test_an_unhealthy_api_is_told_to_people(
    web: FakeWebhooks, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "http://127.0.0.1:1"
    line = f"StackLens at {nowhere} is not healthy: no answer: Connection refused"
    assert run(["health-check", "--base-url", nowhere, "--notify"]) == 1
    assert capsys.readouterr() == (f"{line}\n", "")
    (slack,) = web.slack.requests.all
    assert slack.json["text"] == f"[CRITICAL] {line}"


def test_an_unhealthy_api_and_nobody_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["health-check", "--base-url", "http://127.0.0.1:1", "--notify"]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert said.err.startswith("stacklens: nobody was told")
