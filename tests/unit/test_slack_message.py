"""What Slack is sent: the form, the limits, and names that would be commands."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_service.domain.notices import Notice
from analytics_service.domain.slack_message import escape, slack_payload
from tests.fakes.rules import slack_reply
from tests.unit.notice_examples import (
    DASHBOARD,
    HOSTILE,
    LINE,
    NOW_S,
    OVER,
    TREND,
    digest,
    line,
    notice,
)

OUR_LINK = re.compile(
    r"<https://lens\.example/#/(?:services/[A-Za-z0-9%._~-]*|alerts(?:/\d+)?)\|[^<>]*>"
)


def texts_of(payload: dict[str, Any]) -> list[str]:
    """Every text in mrkdwn."""
    found = [payload["text"], payload["attachments"][0]["fallback"]]
    for block in payload["attachments"][0]["blocks"]:
        found += [text["text"] for text in block.get("elements", [block.get("text")])]
    return found


def accepted(payload: dict[str, Any]) -> bool:
    """Whether the stand-in for Slack, which knows Slack's limits, takes it."""
    return slack_reply(json.dumps(payload).encode()).body == "ok"


def test_one_alert() -> None:
    assert slack_payload(notice()) == {
        "text": "[CRITICAL] payment-service: error_rate 31.2 % &gt; 20 %, for 2 min",
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [
            {
                "color": "#c62828",
                "fallback": "[CRITICAL] payment-service: error_rate 31.2 % &gt; 20 %, for 2 min",
                "blocks": [
                    {
                        "type": "section",
                        "text": {
                            "type": "mrkdwn",
                            "verbatim": True,
                            "text": "*Rule:* high_error_rate\n"
                            "*Description:* Too many payments fail\n"
                            "*Severity:* critical\n"
                            "*Value:* error_rate 31.2 % &gt; 20 %, 1min windows\n"
                            "*Since:* 2026-01-31 02:58:00 UTC (2 min)\n"
                            "<https://lens.example/#/alerts/12|Alert details>",
                        },
                    },
                    {
                        "type": "section",
                        "text": {
                            "type": "mrkdwn",
                            "verbatim": True,
                            "text": "*Last 10 minutes:* error rate 0.4 % → 31.2 %,"
                            " p99 120 ms → 2,300 ms, requests/s 50 → no data",
                        },
                    },
                    {
                        "type": "context",
                        "elements": [
                            {
                                "type": "mrkdwn",
                                "verbatim": True,
                                "text": "<https://lens.example/#/services/payment-service"
                                "|payment-service on the dashboard>",
                            }
                        ],
                    },
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("about", "colour"),
    [
        (notice(), "#c62828"),
        (notice(line(severity="warning")), "#f9a825"),
        (notice(line(severity="info")), "#1565c0"),
        # a severity that nobody knows is not played down
        (notice(line(severity="fatal")), "#c62828"),
        (notice(line(kind="resolved", **OVER)), "#2e7d32"),
        (notice(line(kind="passed", **OVER)), "#2e7d32"),
        # one that still fires is enough
        (notice(LINE, line(kind="resolved", **OVER)), "#c62828"),
        (Notice(message_id="m", at_s=NOW_S, lines=()), "#2e7d32"),
    ],
)
def test_colour(about: Notice, colour: str) -> None:
    assert slack_payload(about)["attachments"][0]["color"] == colour


def test_several_alerts_each_begin_with_their_own_line() -> None:
    second = line(severity="warning", metric_name="latency_p99_ms", threshold=500.0, value=700.0)
    texts = texts_of(slack_payload(notice(LINE, second)))
    assert texts[2].splitlines()[0] == (
        "[CRITICAL] payment-service: error_rate 31.2 % &gt; 20 %, for 2 min"
    )
    assert texts[3].splitlines()[0] == (
        "[WARNING] payment-service: latency_p99_ms 700 ms &gt; 500 ms, for 2 min"
    )


def test_trends_of_several_services_are_told_apart() -> None:
    about = notice(LINE, line(service="cart"), trends={"payment-service": TREND, "cart": TREND})
    texts = texts_of(slack_payload(about))
    assert texts[4].startswith("*Last 10 minutes of payment-service:* error rate")
    assert texts[5].startswith("*Last 10 minutes of cart:* error rate")


def test_digest() -> None:
    payload = slack_payload(digest())
    blocks = payload["attachments"][0]["blocks"]
    assert payload["text"] == (
        "[CRITICAL] 37 alerts in 14 services, the worst: svc-0: error_rate 31.2 % &gt; 20 %, for 2 min"
    )
    assert blocks[0] == {
        "type": "header",
        "text": {"type": "plain_text", "text": "37 alerts in 14 services", "emoji": False},
    }
    assert [block["type"] for block in blocks[1:]] == ["section"] * 10 + ["context"]
    assert blocks[3]["text"]["text"] == (
        "[CRITICAL] svc-2: error_rate 31.2 % &gt; 20 %, for 2 min <https://lens.example/#/alerts/2|details>"
    )
    assert [element["text"] for element in blocks[-1]["elements"]] == [
        "and 27 more",
        "<https://lens.example/#/alerts|All alerts on the dashboard>",
    ]


def test_without_a_dashboard_there_are_no_links() -> None:
    for about in (notice(dashboard_url=""), digest(3, 3, 3)):
        payload = slack_payload(Notice(message_id="m", at_s=NOW_S, lines=about.lines))
        assert "<" not in "".join(texts_of(payload))
        assert payload["attachments"][0]["blocks"][-1]["type"] == "section"


@pytest.mark.parametrize(
    ("text", "most", "escaped"),
    [
        ("a & b", 100, "a &amp; b"),
        ("<!channel>", 100, "&lt;!channel&gt;"),
        ("&lt;", 100, "&amp;lt;"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        # an entity is cut off as a whole; a character outside the first plane counts twice
        ("abc&&", 8, "abc…"),
        ("🔥🔥🔥", 5, "🔥🔥…"),
    ],
)
def test_escape(text: str, most: int, escaped: str) -> None:
    assert escape(text, most) == escaped


def test_the_address_of_the_dashboard_cannot_end_its_own_link() -> None:
    texts = texts_of(slack_payload(notice(dashboard_url="https://a/x|y>z&w")))
    assert texts[-1] == (
        "<https://a/x%7Cy&gt;z&amp;w/#/services/payment-service|payment-service on the dashboard>"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_harmless(text: str) -> None:
    bad = line(service=text, rule_name=text, description=text, actor=text, comment=text)
    for about in (
        notice(bad, trends={text: TREND}),
        notice(*[bad] * 30, trends={text: TREND}),
        notice(*[bad] * 10, is_digest=True, alerts=1000, services=300),
    ):
        payload = slack_payload(about)
        assert accepted(payload)
        for shown in texts_of(payload):
            assert not set(OUR_LINK.sub("", shown)) & {"<", ">"}, "only our own links"


@given(
    st.lists(st.text(st.characters(exclude_categories=()), max_size=600), min_size=5, max_size=5),
    st.integers(1, 60),
    st.booleans(),
)
def test_every_message_is_within_slacks_limits(
    texts: list[str], count: int, is_digest: bool
) -> None:
    service, rule, description, actor, comment = texts
    bad = line(
        service=service, rule_name=rule, description=description, actor=actor, comment=comment
    )
    trends = {service: TREND}
    about = notice(*[bad] * count, is_digest=is_digest, alerts=count, trends=trends)
    payload = slack_payload(about)
    assert accepted(payload)
    assert len(payload["attachments"][0]["blocks"]) <= 50
    for shown in texts_of(payload):
        assert len(shown.encode("utf-16-le")) // 2 <= 3000
        assert not set(OUR_LINK.sub("", shown)) & {"<", ">"}


def test_a_row_that_does_not_fit_is_left_out_and_the_link_stays() -> None:
    ands = "&" * 2000
    bad = line(service=ands, rule_name=ands, description=ands, actor=ands, comment=ands)
    shown = texts_of(slack_payload(notice(bad, bad)))[2]
    assert shown.endswith(f"\n<{DASHBOARD}/#/alerts/12|Alert details>")
    assert "*Since:* 2026-01-31 02:58:00 UTC (2 min)" in shown
    assert "*Comment:*" not in shown
