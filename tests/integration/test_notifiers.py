"""Slack and PagerDuty over real sockets: every answer and every failure; and that no channel leaks a secret."""

from __future__ import annotations

import base64
import json
import logging
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from analytics_service.adapters.notifiers import (
    EmailSender,
    PagerDutySender,
    SlackSender,
    channels_from,
)
from analytics_service.adapters.notifiers.http import Unreachable, post_json
from analytics_service.adapters.notifiers.smtp import Server
from analytics_service.config import load_settings
from analytics_service.domain.notices import Outcome
from tests.fakes.rules import Reply
from tests.fakes.smtp import DISCONNECT, FakeSmtp
from tests.fakes.webhooks import FakeWebhooks
from tests.integration.senders import (
    CLOSED,
    KEY,
    OK,
    ONE,
    PATIENCE_S,
    SHORT_S,
    TWO,
    email,
    pagerduty,
    slack,
)
from tests.unit.notice_examples import event, notice


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is here is spoken to directly."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def web() -> Iterator[FakeWebhooks]:
    """Slack and PagerDuty."""
    with FakeWebhooks(routing_key=KEY) as fake:
        yield fake


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Nobody trusts it."""
    return trustme.CA()


# --- Slack ---------------------------------------------------------------------------------------


def test_slack_takes_a_notice(web: FakeWebhooks) -> None:
    assert slack(web).send(notice()) == Outcome("sent", "Slack answered 200 ok", status=200)
    (request,) = web.slack.all
    assert request.headers["Content-Type"] == "application/json"
    assert request.json["text"] == (
        "[CRITICAL] payment-service: error_rate 31.2 % &gt; 20 %, for 2 min"
    )


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        # 200 is success only with the one word
        (
            Reply(200, "invalid"),
            Outcome("retry", "Slack answered 200, which is not its ok", status=200),
        ),
        (Reply(200, "ok\n"), Outcome("retry", "Slack answered 200, which is not its ok", status=200)),
        (Reply(200, ""), Outcome("retry", "Slack answered 200, which is not its ok", status=200)),
        (Reply(204, ""), Outcome("retry", "Slack answered 204, which is not its ok", status=204)),
        # never again
        (Reply(302, "", {"Location": "/services/x"}), Outcome("refused", "Slack answered 302", status=302)),
        (Reply(400, "invalid_payload"), Outcome("refused", "Slack answered 400 invalid_payload", status=400)),
        (Reply(403, "action_prohibited"), Outcome("refused", "Slack answered 403 action_prohibited", status=403)),
        (Reply(404, "channel_not_found"), Outcome("refused", "Slack answered 404 channel_not_found", status=404)),
        (Reply(410, "channel_is_archived"), Outcome("refused", "Slack answered 410 channel_is_archived", status=410)),
        (Reply(404, "<html>Not found</html>"), Outcome("refused", "Slack answered 404", status=404)),
        # later
        (Reply(500, "rollup_error"), Outcome("retry", "Slack answered 500 rollup_error", status=500)),
        (Reply(503, "", {"Retry-After": "5"}), Outcome("retry", "Slack answered 503", 5.0, status=503)),
        # too fast: when again is said in the header, or in the body, or not at all
        (
            Reply(429, '{"retry_after": 9}', {"Retry-After": "2"}),
            Outcome("retry", "Slack answered 429: too fast", 2.0, True, 429),
        ),
        (
            Reply(429, '{"retry_after":1,"ok":false,"error":"rate_limited"}'),
            Outcome("retry", "Slack answered 429: too fast", 1.0, True, 429),
        ),
        (Reply(429, "[1]"), Outcome("retry", "Slack answered 429: too fast", None, True, 429)),
        (Reply(429, "soon"), Outcome("retry", "Slack answered 429: too fast", None, True, 429)),
        (
            Reply(429, '{"retry_after": "x"}', {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
            Outcome("retry", "Slack answered 429: too fast", None, True, 429),
        ),
        # nonsense is no reason to be silent for ever
        (
            Reply(429, "", {"Retry-After": "1e99"}),
            Outcome("retry", "Slack answered 429: too fast", 86_400.0, True, 429),
        ),
        (Reply(429, "", {"Retry-After": "-1"}), Outcome("retry", "Slack answered 429: too fast", None, True, 429)),
        (Reply(429, "", {"Retry-After": "nan"}), Outcome("retry", "Slack answered 429: too fast", None, True, 429)),
    ],
)  # fmt: skip
def test_slack_answers(web: FakeWebhooks, reply: Reply, outcome: Outcome) -> None:
    web.slack.script(reply)
    assert slack(web).send(notice()) == outcome
    assert len(web.slack.all) == 1, "one attempt, and no redirect followed"


def test_slack_after_a_failure_takes_the_next_one(web: FakeWebhooks) -> None:
    web.slack.script(Reply(503), None)
    sender = slack(web)
    assert [sender.send(notice()).result for _ in range(2)] == ["retry", "sent"]


def test_the_fake_limits_who_is_too_fast(web: FakeWebhooks) -> None:
    web.slack.least_gap_s = 3600.0
    sender = slack(web)
    assert sender.send(notice()).result == "sent"
    limited = sender.send(notice())
    assert (limited.result, limited.retry_after_s, limited.is_limited) == ("retry", 1.0, True)


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (OK.after(3600.0), "no answer within 0.3 s"),
        # a byte at a time would keep any time limit of a socket from ever running out
        (Reply(200, "o", drips=True), "no answer within 0.3 s"),
    ],
)
def test_silence_ends_after_the_whole_time(web: FakeWebhooks, reply: Reply, failure: str) -> None:
    web.slack.script(reply)
    outcome = SlackSender(web.slack_url, SHORT_S).send(notice())
    assert outcome == Outcome("retry", f"127.0.0.1:{web.port}: {failure}")


def test_an_answer_that_breaks_off_is_none(web: FakeWebhooks) -> None:
    web.slack.script(Reply(200, "ok", is_cut=True))
    outcome = slack(web).send(notice())
    assert outcome == Outcome("retry", f"127.0.0.1:{web.port}: the answer broke off")


def test_an_answer_without_end_is_read_to_a_limit(web: FakeWebhooks) -> None:
    web.slack.script(Reply(200, "x" * 1_000_000, is_cut=True))
    outcome = slack(web).send(notice())
    assert outcome == Outcome("retry", "Slack answered 200, which is not its ok", status=200)


def test_nobody_there() -> None:
    outcome = SlackSender(f"{CLOSED}/services/x", PATIENCE_S).send(notice())
    assert outcome == Outcome("retry", "127.0.0.1:1: connection refused")


def test_a_name_that_there_is_not() -> None:
    outcome = SlackSender("http://nowhere.invalid/services/x", PATIENCE_S).send(notice())
    assert outcome == Outcome("retry", "nowhere.invalid: its name cannot be resolved")


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side of TLS, for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_certificate_that_nobody_vouches_for_is_not_spoken_to(authority: trustme.CA) -> None:
    with FakeWebhooks(tls=server_context(authority)) as web:
        outcome = slack(web).send(notice())
        assert outcome == Outcome(
            "retry", f"127.0.0.1:{web.port}: its TLS certificate is not trusted"
        )
        assert not web.slack.all


def test_a_certificate_that_is_vouched_for(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        FakeWebhooks(tls=server_context(authority)) as web,
        authority.cert_pem.tempfile() as trusted,
    ):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
        assert slack(web).send(notice()).result == "sent"


def test_tls_to_who_speaks_none(web: FakeWebhooks) -> None:
    url = web.slack_url.replace("http://", "https://")
    outcome = SlackSender(url, PATIENCE_S).send(notice())
    assert outcome == Outcome("retry", f"127.0.0.1:{web.port}: TLS failed")


# --- PagerDuty -----------------------------------------------------------------------------------


def test_pagerduty_takes_an_episode_under_one_key(web: FakeWebhooks) -> None:
    sender = pagerduty(web)
    for action in ("trigger", "acknowledge", "resolve"):
        outcome = sender.send(event(action=action))
        assert outcome == Outcome("sent", "PagerDuty answered 202", status=202)
    events = [request.json for request in web.pagerduty.all]
    assert [each["event_action"] for each in events] == ["trigger", "acknowledge", "resolve"]
    assert len({each["dedup_key"] for each in events}) == 1
    assert {each["routing_key"] for each in events} == {KEY}


INVALID = (
    '{"status":"invalid event","message":"Event object is invalid","errors":["no source","x"]}'
)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (
            Reply(400, INVALID),
            Outcome("refused", "PagerDuty answered 400: Event object is invalid; no source; x", status=400),
        ),
        (Reply(400, '{"errors":{"a":1},"message":7}'), Outcome("refused", "PagerDuty answered 400", status=400)),
        (Reply(400, '["x"]'), Outcome("refused", "PagerDuty answered 400", status=400)),
        (Reply(403, "no"), Outcome("refused", "PagerDuty answered 403", status=403)),
        (Reply(404, ""), Outcome("refused", "PagerDuty answered 404", status=404)),
        (Reply(410, ""), Outcome("refused", "PagerDuty answered 410", status=410)),
        (Reply(307, "", {"Location": "/x"}), Outcome("refused", "PagerDuty answered 307", status=307)),
        (
            Reply(200, "ok"),
            Outcome("retry", "PagerDuty answered 200, which is not its yes", status=200),
        ),
        (Reply(500, "?"), Outcome("retry", "PagerDuty answered 500", status=500)),
        (Reply(503, "", {"Retry-After": "4"}), Outcome("retry", "PagerDuty answered 503", 4.0, status=503)),
        (Reply(429, ""), Outcome("retry", "PagerDuty answered 429: too fast", None, True, 429)),
        (
            Reply(429, "", {"Retry-After": "60"}),
            Outcome("retry", "PagerDuty answered 429: too fast", 60.0, True, 429),
        ),
    ],
)  # fmt: skip
def test_pagerduty_answers(web: FakeWebhooks, reply: Reply, outcome: Outcome) -> None:
    web.pagerduty.script(reply)
    assert pagerduty(web).send(event()) == outcome
    assert len(web.pagerduty.all) == 1


def test_pagerduty_does_not_know_the_key(web: FakeWebhooks) -> None:
    outcome = PagerDutySender("f" * 32, web.pagerduty_url, PATIENCE_S).send(event())
    assert outcome == Outcome(
        "refused",
        "PagerDuty answered 400: Event object is invalid; Invalid routing key",
        status=400,
    )


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (OK.after(3600.0), "no answer within 0.3 s"),
        (Reply(202, "", is_cut=True), "the answer broke off"),
    ],
)
def test_pagerduty_fails(web: FakeWebhooks, reply: Reply, failure: str) -> None:
    web.pagerduty.script(reply)
    patience_s = SHORT_S if reply.hang_s else PATIENCE_S
    outcome = PagerDutySender(KEY, web.pagerduty_url, patience_s).send(event())
    assert outcome == Outcome("retry", f"127.0.0.1:{web.port}: {failure}")


# --- no secret leaves ----------------------------------------------------------------------------

SECRET_PATH = "/services/T0SECRET/B0SECRET/secret_word"
PASSWORD = "correct-horse-battery"


def everything_said(outcomes: list[Outcome], objects: list[Any], logged: str) -> str:
    """Whatever a person or a log might get to see."""
    assert {outcome.result for outcome in outcomes} == {"retry", "refused"}
    return "\n".join([*map(repr, outcomes), *map(repr, objects), *map(str, objects), logged])


def logged_by_us(caplog: pytest.LogCaptureFixture) -> str:
    """What was logged, without the fakes' own libraries."""
    theirs = ("mail", "asyncio")
    return "\n".join(
        f"{record.getMessage()} {record.exc_text}"
        for record in caplog.records
        if not record.name.startswith(theirs)
    )


ECHOES = (
    Reply(200, "secret_word"),
    Reply(302, "", {"Location": SECRET_PATH}),
    Reply(404, "secret_word"),
    Reply(404, f"no hook at {SECRET_PATH}"),
    Reply(400, json.dumps({"message": f"bad {KEY}", "errors": [KEY, f"{'x' * 290}{KEY}"]})),
    Reply(429, "secret_word", {"Retry-After": KEY}),
    Reply(500, "secret_word"),
    Reply(500, json.dumps({"message": KEY})),
    Reply(400, json.dumps({"errors": [f"{'x' * 285}{KEY}"]})),
    # a header that cannot be read, which the library below would log together with the address
    Reply(500, "", {"Broken\x01 header": "secret_word"}),
    Reply(200, "ok", is_cut=True),
)


def test_slack_leaks_no_secret(web: FakeWebhooks, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    address = web.slack_url.partition("/services/")[0]
    urls = (CLOSED, "http://nowhere.invalid", address.replace("http:", "https:"), address)
    senders = [SlackSender(f"{url}{SECRET_PATH}", PATIENCE_S) for url in urls]
    outcomes = [sender.send(notice()) for sender in senders[:-1]]
    web.slack.script(*ECHOES, OK.after(3600.0))
    outcomes += [senders[-1].send(notice()) for _ in ECHOES]
    outcomes.append(SlackSender(f"{address}{SECRET_PATH}", SHORT_S).send(notice()))
    said = everything_said(outcomes, list(senders), logged_by_us(caplog))
    assert "SECRET" not in said
    assert "secret_word" not in said
    web.slack.wait(len(ECHOES))


def test_pagerduty_leaks_no_secret(web: FakeWebhooks, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    urls = (CLOSED, "http://nowhere.invalid", web.pagerduty_url)
    senders = [PagerDutySender(KEY, url, PATIENCE_S) for url in urls]
    outcomes = [sender.send(event()) for sender in senders[:-1]]
    web.pagerduty.script(*ECHOES, OK.after(3600.0))
    outcomes += [senders[-1].send(event()) for _ in ECHOES]
    outcomes.append(PagerDutySender(KEY, web.pagerduty_url, SHORT_S).send(event()))
    said = everything_said(outcomes, list(senders), logged_by_us(caplog))
    # Ten characters of it are too many as well.
    assert KEY[:10] not in said
    assert "***" in said, "where the key was said back"


def test_email_leaks_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    login = ("bot", PASSWORD)
    token = base64.b64encode(f"\0bot\0{PASSWORD}".encode()).decode()
    with FakeSmtp(login=login) as fake, FakeSmtp(tls="none") as bare:
        senders = [
            email(fake, login=login),
            email(fake, login=("bot", f"{PASSWORD}-wrong")),
            email(fake, tls="none", login=login),
            email(fake, tls="implicit", login=login),
            email(bare, login=login),
            EmailSender(Server("127.0.0.1", fake.port, "starttls", *login), "a@b.example", (ONE,)),
            EmailSender(Server("127.0.0.1", 1, "none", *login), "a@b.example", (ONE,)),
            EmailSender(
                Server("127.0.0.1", fake.port, "starttls", "bot", f"{PASSWORD}-ü"), "a@b", ()
            ),
        ]
        fake.script("MAIL", f"550 not {PASSWORD}", f"451 not {token}", DISCONNECT)
        outcomes = [senders[0].send(notice()) for _ in range(3)]
        outcomes += [sender.send(notice()) for sender in senders[1:]]
        odd = email(fake, login=("bot", f"{PASSWORD}-ü"))
        outcomes.append(odd.send(notice()))
    server = Server("h", 1, "none", *login)
    said = everything_said(outcomes, [*senders, odd, server], logged_by_us(caplog))
    assert PASSWORD not in said
    assert token not in said
    assert "550 not ***" in said
    assert "451 not ***" in said


@pytest.mark.parametrize("url", [CLOSED, "http://nowhere.invalid", "https://[", "http://a:x"])
def test_the_exception_of_a_failed_post_carries_no_other(url: str) -> None:
    with pytest.raises(Unreachable) as caught:
        post_json(f"{url}{SECRET_PATH}", {}, PATIENCE_S)
    assert "SECRET" not in repr(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


# --- which channels there are --------------------------------------------------------------------


def test_channels_from_settings_send(web: FakeWebhooks) -> None:
    with FakeSmtp(tls="none") as fake:
        settings = load_settings(
            {
                "SLACK_WEBHOOK_URL": web.slack_url,
                "PAGERDUTY_SERVICE_KEY": KEY,
                "PAGERDUTY_EVENTS_URL": web.pagerduty_url,
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(fake.port),
                "SMTP_TLS": "none",
                "ALERT_EMAIL_TO": f"{ONE}, {TWO}",
            },
            env_file=None,
        )
        senders = {sender.name: sender for sender in channels_from(settings)}
        assert list(senders) == ["slack", "email", "pagerduty"]
        for sender in senders.values():
            content: Any = event() if sender.name == "pagerduty" else notice()
            assert sender.send(content).result == "sent"
        assert fake.all[0].message["From"] == "StackLens <stacklens@example.com>"


def test_a_channel_with_nothing_set_is_off() -> None:
    assert channels_from(load_settings({}, env_file=None)) == ()
