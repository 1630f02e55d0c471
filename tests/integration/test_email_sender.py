"""Email over a real socket: every answer and every failure of a mail server."""

from __future__ import annotations

import pytest

from analytics_service.adapters.notifiers import (
    EmailSender,
)
from analytics_service.adapters.notifiers.smtp import Server
from analytics_service.domain.notices import Outcome
from tests.fakes.smtp import DISCONNECT, HANG, FakeSmtp
from tests.integration.senders import (
    ONE,
    PATIENCE_S,
    SHORT_S,
    TWO,
    email,
)
from tests.unit.notice_examples import line, notice


@pytest.mark.parametrize("tls", ["starttls", "implicit", "none"])
def test_mail_is_taken(tls: str) -> None:
    with FakeSmtp(tls=tls) as fake:
        outcome = email(fake, ONE, TWO, tls=tls).send(notice())
        assert outcome == Outcome("sent", f"127.0.0.1:{fake.port} took it", status=250)
        (mail,) = fake.all
    assert (mail.sender, mail.recipients) == ("alerts@stacklens.example", (ONE, TWO))
    assert mail.is_encrypted is (tls != "none")
    assert mail.user is None
    assert mail.message["Subject"] == (
        "[CRITICAL] payment-service: error_rate 31.2 % > 20 %, for 2 min"
    )
    assert mail.message["Message-ID"] == "<m-1@stacklens.example>"


def test_mail_about_one_episode_is_one_thread() -> None:
    with FakeSmtp() as fake:
        sender = email(fake)
        sender.send(notice())
        sender.send(notice(line(kind="resolved")))
        first, second = (mail.message for mail in fake.all)
    thread = "<episode-6c1b0f7e-1111-4222-8333-444455556666@stacklens.example>"
    for message in (first, second):
        assert (message["In-Reply-To"], message["References"]) == (thread, thread)


def test_a_login_is_made_where_a_user_is_set() -> None:
    with FakeSmtp(login=("bot", "s3cret")) as fake:
        assert email(fake, login=("bot", "s3cret")).send(notice()).result == "sent"
        assert fake.all[0].user == "bot"
        wrong = email(fake, login=("bot", "wrong")).send(notice())
        assert wrong == Outcome(
            "refused", f"127.0.0.1:{fake.port} answered 535 to the login", status=535
        )
        missing = email(fake).send(notice())
        assert (missing.result, missing.status) == ("refused", 530)
        assert len(fake.all) == 1


def test_starttls_is_required_not_merely_tried() -> None:
    with FakeSmtp(tls="none") as fake:
        outcome = email(fake, tls="starttls").send(notice())
        assert outcome == Outcome("retry", f"127.0.0.1:{fake.port}: it does not offer STARTTLS")
        assert fake.commands == []


def test_a_login_that_is_not_offered_in_the_clear() -> None:
    with FakeSmtp(login=("bot", "s3cret")) as fake:
        outcome = email(fake, tls="none", login=("bot", "s3cret")).send(notice())
        assert outcome == Outcome("retry", f"127.0.0.1:{fake.port}: it does not offer AUTH")


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_mail_to_who_has_another_s_certificate(tls: str) -> None:
    with FakeSmtp(tls=tls) as fake:
        server = Server("127.0.0.1", fake.port, tls)
        outcome = EmailSender(server, "a@b.example", (ONE,), PATIENCE_S).send(notice())
        assert outcome == Outcome(
            "retry", f"127.0.0.1:{fake.port}: its TLS certificate is not trusted"
        )
        assert fake.commands == []


def test_implicit_tls_to_who_speaks_none() -> None:
    with FakeSmtp(tls="none") as fake:
        outcome = email(fake, tls="implicit").send(notice())
        assert outcome == Outcome("retry", f"127.0.0.1:{fake.port}: TLS failed")


@pytest.mark.parametrize(
    ("command", "reply", "result", "detail", "status"),
    [
        # 4yz is later, 5yz never, at every step
        ("MAIL", "451 4.3.0 later", "retry", "answered 451 4.3.0 later", 451),
        ("MAIL", "550 5.1.8 who?", "refused", "answered 550 5.1.8 who?", 550),
        ("RCPT", "450 4.2.1 busy", "retry", "answered 450 4.2.1 busy", 450),
        ("RCPT", "550 5.1.1 nobody", "refused", "answered 550 5.1.1 nobody", 550),
        ("RCPT", "421 4.3.2 closing", "retry", "answered 421 4.3.2 closing", 421),
        ("BODY", "451 4.7.1 greylisted", "retry", "answered 451 4.7.1 greylisted", 451),
        ("BODY", "554 5.7.1 spam", "refused", "answered 554 5.7.1 spam", 554),
    ],
)
def test_mail_server_says_no(
    command: str, reply: str, result: str, detail: str, status: int
) -> None:
    with FakeSmtp() as fake:
        fake.script(command, reply)
        outcome = email(fake).send(notice())
        said = (outcome.result, outcome.detail, outcome.status)
        assert said == (result, f"127.0.0.1:{fake.port} {detail}", status)
        assert fake.commands.count(command) == 1, "one attempt"
        assert not fake.all
        assert email(fake).send(notice()).result == "sent"


def test_a_server_that_closes_among_the_recipients_has_taken_nothing() -> None:
    with FakeSmtp() as fake:
        fake.script("RCPT", None, "421 closing")
        outcome = email(fake, ONE, TWO).send(notice())
        said = (outcome.result, outcome.detail)
        assert said == ("retry", f"127.0.0.1:{fake.port} answered 421 closing")
        assert not fake.all


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "BODY"])
@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [(DISCONNECT, "the connection broke off"), (HANG, "no answer within 0.3 s")],
)
def test_mail_server_goes_away(command: str, behaviour: str, failure: str) -> None:
    with FakeSmtp(tls="none") as fake:
        fake.script(command, behaviour)
        patience_s = SHORT_S if behaviour == HANG else PATIENCE_S
        outcome = email(fake, tls="none", deadline_s=patience_s).send(notice())
        assert outcome == Outcome("retry", f"127.0.0.1:{fake.port}: {failure}")
        assert not fake.all


@pytest.mark.parametrize(
    ("replies", "result", "detail"),
    [
        # some are refused: it is sent, and said how many are not reached
        (("550 nobody", None), "sent", "took it, but refused 1 of 3 recipients (550)"),
        (("550 a", None, "450 b"), "sent", "took it, but refused 2 of 3 recipients (450, 550)"),
        # all are: one that is only put off is worth another attempt
        (("550 a", "450 b", "550 c"), "retry", "answered 450 b"),
        (("550 a", "551 b", "550 c"), "refused", "answered 550 a"),
    ],
)
def test_some_recipients_are_refused(
    replies: tuple[str | None, ...], result: str, detail: str
) -> None:
    with FakeSmtp() as fake:
        fake.script("RCPT", *replies)
        outcome = email(fake, ONE, TWO, "third@example.com").send(notice())
        assert (outcome.result, outcome.detail) == (result, f"127.0.0.1:{fake.port} {detail}")
        assert len(fake.all) == (1 if result == "sent" else 0)
        assert outcome.is_partial is (result == "sent")
        assert outcome.trouble == outcome.detail, "nobody is to think that all is well"


def test_no_mail_server_there() -> None:
    sender = EmailSender(Server("127.0.0.1", 1), "a@b.example", (ONE,), PATIENCE_S)
    assert sender.send(notice()) == Outcome("retry", "127.0.0.1:1: connection refused")
    sender = EmailSender(Server("nowhere.invalid", 25), "a@b.example", (ONE,), PATIENCE_S)
    assert sender.send(notice()) == Outcome(
        "retry", "nowhere.invalid:25: its name cannot be resolved"
    )
