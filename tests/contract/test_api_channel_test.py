"""`POST /alerts/test` and `stacklens alerts test`, against the other sides on real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analytics_service.entrypoints.cli.main import run
from tests.api_support import api_app, api_settings
from tests.api_writes import READER, USERS, Sender
from tests.fakes.rules import Reply
from tests.fakes.smtp import FakeSmtp
from tests.fakes.webhooks import FakeWebhooks

KEY = "0123456789abcdef0123456789abcdef"
NOWHERE = {"DB_HOST": "127.0.0.1", "DB_PORT": "1"}
SECRETS = ("not-a-real-webhook", KEY, "mail-secret")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is here is spoken to directly."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def web() -> Iterator[FakeWebhooks]:
    """Slack and PagerDuty."""
    with FakeWebhooks(routing_key=KEY) as fake:
        yield fake


def env_of(web: FakeWebhooks) -> dict[str, str]:
    """Both switched on."""
    return {
        "SLACK_WEBHOOK_URL": web.slack_url,
        "PAGERDUTY_SERVICE_KEY": KEY,
        "PAGERDUTY_EVENTS_URL": web.pagerduty_url,
    }


@contextmanager
def asking(env: dict[str, str]) -> Iterator[Sender]:
    """An API without a database, which a test message does not need."""
    with api_app(api_settings({**NOWHERE, **env}, API_USERS=USERS)) as app:
        yield Sender(app.test_client())


def test_slack_takes_it(web: FakeWebhooks) -> None:
    with asking(env_of(web)) as api:
        body = api.send("POST", "/v1/alerts/test", channel="slack")
    assert body == {"channel": "slack", "result": "sent", "detail": "Slack answered 200 ok"}
    (request,) = web.slack.all
    assert "[INFO] StackLens test message" in request.json["text"]
    assert "Sent by ada to test this channel. Nothing is wrong" in request.body.decode()
    assert web.pagerduty.all == []


def test_an_incident_is_opened_and_closed(web: FakeWebhooks) -> None:
    with asking(env_of(web)) as api:
        body = api.send("POST", "/alerts/test", channel="pagerduty")
        api.send("POST", "/alerts/test", channel="pagerduty")
    assert body == {"channel": "pagerduty", "result": "sent", "detail": "PagerDuty answered 202"}
    events = [request.json for request in web.pagerduty.all]
    assert [event["event_action"] for event in events] == ["trigger", "resolve"] * 2
    assert events[0]["payload"]["severity"] == "info"
    keys = [event["dedup_key"] for event in events]
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_mail_is_taken() -> None:
    with FakeSmtp(tls="none") as mail:
        env = {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(mail.port),
            "SMTP_TLS": "none",
            "ALERT_EMAIL_TO": "ops@example.com",
        }
        with asking(env) as api:
            body = api.send("POST", "/alerts/test", channel="email")
        assert body["result"] == "sent"
        assert len(mail.mails.wait(1, 10.0)) == 1


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (Reply(404, "no_service"), "slack: Slack answered 404 no_service."),
        (Reply(403, "invalid_token"), "slack: Slack answered 403 invalid_token."),
        (Reply(429, ""), "slack: Slack answered 429: too fast."),
        (Reply(503, ""), "slack: Slack answered 503."),
    ],
)
def test_the_other_side_does_not_take_it(web: FakeWebhooks, reply: Reply, detail: str) -> None:
    web.slack.script(reply)
    with asking(env_of(web)) as api:
        body = api.send("POST", "/alerts/test", channel="slack", expect=502)
    assert (body["type"], body["detail"]) == ("urn:stacklens:problem:not-delivered", detail)
    assert len(web.slack.all) == 1  # once, whatever was answered


def test_an_incident_that_was_not_opened_is_not_closed(web: FakeWebhooks) -> None:
    with asking(env_of(web) | {"PAGERDUTY_SERVICE_KEY": "f" * 32}) as api:
        body = api.send("POST", "/alerts/test", channel="pagerduty", expect=502)
    assert body["detail"].startswith("pagerduty: PagerDuty answered 400")
    assert [request.json["event_action"] for request in web.pagerduty.all] == ["trigger"]


def test_nobody_is_there() -> None:
    env = {"SLACK_WEBHOOK_URL": "http://127.0.0.1:1/services/T0/B0/not-a-real-webhook"}
    with asking(env) as api:
        answer = api.answer("POST", "/alerts/test", channel="slack")
    assert answer.status_code == 502
    assert answer.get_json()["detail"] == "slack: 127.0.0.1:1: connection refused."
    assert not any(secret in answer.get_data(as_text=True) for secret in SECRETS)


@pytest.mark.parametrize(
    ("channel", "detail"),
    [
        ("slack", "Slack is off: SLACK_WEBHOOK_URL would switch it on."),
        ("email", "Email is off: SMTP_HOST and ALERT_EMAIL_TO would switch it on."),
        ("pagerduty", "Pagerduty is off: PAGERDUTY_SERVICE_KEY would switch it on."),
    ],
)
def test_a_channel_that_is_off(channel: str, detail: str) -> None:
    with asking({}) as api:
        assert api.send("POST", "/alerts/test", channel=channel, expect=409)["detail"] == detail


def test_who_may_and_how(web: FakeWebhooks) -> None:
    with asking(env_of(web)) as api:
        for query in ({}, {"channel": ""}, {"channel": "fax"}, {"channel": ["slack", "email"]}):
            assert list(api.problems("POST", "/alerts/test", {}, **query)) == ["channel"]
        assert list(api.problems("POST", "/alerts/test", {"text": "x"}, channel="slack")) == [
            "text"
        ]
        api.get("/alerts/test", 405, channel="slack")
        Sender(api.client, READER).send("POST", "/alerts/test", channel="slack", expect=403)
        foreign = api.client.post(
            "/alerts/test?channel=slack",
            json={},
            auth=api.auth,
            headers={"Origin": "http://evil.example"},
        )
        assert foreign.status_code == 403
        assert api.client.post("/alerts/test?channel=slack", auth=api.auth).status_code == 415
    assert web.slack.all == []


def test_the_command(
    web: FakeWebhooks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["alerts", "test"]) == 1
    assert "no channel is on: set SLACK_WEBHOOK_URL, or SMTP_HOST and" in capsys.readouterr().err
    for name, value in env_of(web).items():
        monkeypatch.setenv(name, value)
    assert run(["alerts", "test", "--by", "zoe", "--output-json", "report.json"]) == 0
    report = json.loads(Path("report.json").read_text())
    assert [(row["channel"], row["result"]) for row in report["channels"]] == [
        ("slack", "sent"), ("pagerduty", "sent"),
    ]  # fmt: skip
    assert "Sent by zoe" in web.slack.all[0].body.decode()
    web.slack.script(Reply(404, "no_service"))
    assert run(["alerts", "test", "--channel", "slack", "--channel", "email"]) == 1
    out = capsys.readouterr().out
    assert "Slack answered 404 no_service" in out
    assert "email is off: SMTP_HOST and ALERT_EMAIL_TO would switch it on" in out
    assert not any(secret in out for secret in SECRETS)
