"""What an email says, and the bytes that it becomes."""

from __future__ import annotations

import email
from email import policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.adapters.notifiers.mime import mime_of, split_sender
from analytics_service.domain.email_message import email_of
from analytics_service.domain.notices import Notice
from tests.unit.notice_examples import HOSTILE, LINE, NOW_S, OVER, TREND, digest, line, notice

SENDER = "StackLens <alerts@stacklens.example>"


class _Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        self.text += data


def sent(about: Notice, sender: str = SENDER) -> EmailMessage:
    """The message as its receiver parses it."""
    raw = mime_of(email_of(about), sender, ["ops@example.com", "oncall@example.com"], about.at_s)
    return email.message_from_bytes(raw.as_bytes(), policy=policy.default)


def body(message: EmailMessage, kind: str) -> str:
    """The plain or the html body."""
    part = message.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def test_one_alert() -> None:
    made = email_of(notice())
    assert made.subject == "[CRITICAL] payment-service: error_rate 31.2 % > 20 %, for 2 min"
    assert made.text == (
        "[CRITICAL] payment-service: error_rate 31.2 % > 20 %, for 2 min\n"
        "\n"
        "Rule: high_error_rate\n"
        "Description: Too many payments fail\n"
        "Severity: critical\n"
        "Value: error_rate 31.2 % > 20 %, 1min windows\n"
        "Since: 2026-01-31 02:58:00 UTC (2 min)\n"
        "Details: https://lens.example/#/alerts/12\n"
        "\n"
        "The last 10 minutes of payment-service\n"
        "error rate: 0.4 % → 31.2 %\n"
        "p99: 120 ms → 2,300 ms\n"
        "requests/s: 50 → no data\n"
        "\n"
        "https://lens.example/#/services/payment-service\n"
    )
    assert made.message_id == "m-1"
    assert made.thread_ids == ("episode-6c1b0f7e-1111-4222-8333-444455556666",)


def test_what_is_over_says_so_first_and_who_ended_it() -> None:
    made = email_of(notice(line(kind="resolved", actor="ada", comment="rolled back", **OVER)))
    assert made.subject == "[RESOLVED] payment-service: error_rate > 20 % is over after 1 min"
    assert "\nResolved by: ada\nComment: rolled back\n" in made.text


def test_several_alerts_are_told_one_by_one_and_in_every_thread() -> None:
    second = line(severity="warning", episode_id="e-2", metric_name="total_requests", value=30.0)
    made = email_of(notice(LINE, second, LINE))
    assert made.subject.endswith(", for 2 min (+ 2 more firing)")
    assert "\n\n[WARNING] payment-service: total_requests 30 > 20, for 2 min\nRule: " in made.text
    assert made.thread_ids == ("episode-6c1b0f7e-1111-4222-8333-444455556666", "episode-e-2")


def test_digest() -> None:
    made = email_of(digest(2))
    assert made.text == (
        "[CRITICAL] 37 alerts in 14 services, the worst: svc-0: error_rate 31.2 % > 20 %, for 2 min\n"
        "\n"
        "[CRITICAL] svc-0: error_rate 31.2 % > 20 %, for 2 min\n"
        "Details: https://lens.example/#/alerts/0\n"
        "\n"
        "[CRITICAL] svc-1: error_rate 31.2 % > 20 %, for 2 min\n"
        "Details: https://lens.example/#/alerts/1\n"
        "\n"
        "and 35 more\n"
        "\n"
        "https://lens.example/#/alerts\n"
    )


def test_headers() -> None:
    message = sent(notice())
    assert {name: str(value) for name, value in message.items() if name != "Content-Type"} == {
        "From": "StackLens <alerts@stacklens.example>",
        "To": "ops@example.com, oncall@example.com",
        "Subject": "[CRITICAL] payment-service: error_rate 31.2 % > 20 %, for 2 min",
        "Date": "Sat, 31 Jan 2026 03:00:00 +0000",
        "Message-ID": "<m-1@stacklens.example>",
        "In-Reply-To": "<episode-6c1b0f7e-1111-4222-8333-444455556666@stacklens.example>",
        "References": "<episode-6c1b0f7e-1111-4222-8333-444455556666@stacklens.example>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
    }
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert body(message, "plain") == email_of(notice()).text
    assert body(message, "html") == email_of(notice()).html


def test_long_identifiers_stay_whole_on_the_wire() -> None:
    host = "alerts." + "a-long-name-of-a-department." * 4 + "example"
    raw = mime_of(email_of(digest()), f"a@{host}", ["b@c"], NOW_S).as_bytes()
    assert f"Message-ID: <m-1@{host}>\r\n".encode() in raw
    threads = "\r\n ".join(f"<episode-e-{i}@{host}>" for i in range(10))
    assert f"References: {threads}\r\n".encode() in raw


def test_identifiers_hold_nothing_but_letters_digits_and_hyphens() -> None:
    bad = line(episode_id="a\r\nBcc: x@y>")
    made = email_of(Notice(message_id="<m>\r\n\0 1", at_s=NOW_S, lines=(bad,)))
    assert (made.message_id, made.thread_ids) == ("m1", ("episode-aBccxy",))
    assert email_of(Notice(message_id="@", at_s=NOW_S, lines=())).message_id == "none"


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("a@b", "", "a@b"),
        ("Stack Lens <a@b>", "Stack Lens", "a@b"),
        ("Lens, Stack <a@b>", "Lens, Stack", "a@b"),
        ("<a@b>", "", "a@b"),
    ],
)
def test_sender(sender: str, name: str, address: str) -> None:
    assert split_sender(sender) == (name, address)
    (found,) = sent(notice(), sender)["From"].addresses
    assert (found.display_name, found.addr_spec) == (name, address)


def test_html_of_one_alert_links_to_it_and_to_its_service() -> None:
    page = _Page(email_of(notice()).html)
    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == [
        "https://lens.example/#/alerts/12",
        "https://lens.example/#/services/payment-service",
    ]
    assert "0.4 % → 31.2 %" in page.text
    assert "border-left:4px solid #c62828" in str(page.tags)


def hostile_notice(text: str) -> Notice:
    """A notice in which everything that comes from outside is this text."""
    bad = line(service=text, rule_name=text, description=text, actor=text, comment=text)
    return notice(bad, trends={text: TREND})


ALLOWED_TAGS = {"html", "head", "meta", "body", "p", "strong", "div", "table", "tr", "td", "a"}


def assert_harmless(about: Notice) -> None:
    """No header, tag, attribute or line of its own."""
    message = sent(about)
    assert message.keys() == sent(notice()).keys()
    assert message["Bcc"] is None
    assert len(str(message["Subject"])) <= 210
    assert len(message["To"].addresses) == 2
    page = _Page(body(message, "html"))
    assert {tag for tag, _ in page.tags} <= ALLOWED_TAGS
    for tag, attributes in page.tags:
        assert set(attributes) <= {"style", "charset", "href"}, tag
        assert (attributes.get("href") or "https://lens.example/#/").startswith(
            "https://lens.example/#/"
        )
    lines = body(message, "plain").splitlines()
    assert len(lines) == len([each for each in lines if not each.startswith("Bcc:")])


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_harmless(text: str) -> None:
    assert_harmless(hostile_notice(text))


@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_any_name_is_harmless(text: str) -> None:
    assert_harmless(hostile_notice(text))


def test_lines_on_the_wire_are_short_and_ascii() -> None:
    raw = mime_of(email_of(hostile_notice("🔥" * 255)), SENDER, ["a@b"], NOW_S).as_bytes()
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_the_same_notice_is_the_same_mail() -> None:
    def without_boundary(message: EmailMessage) -> Any:
        return [(n, v) for n, v in message.items() if n != "Content-Type"], body(message, "plain")

    assert without_boundary(sent(notice())) == without_boundary(sent(notice()))
