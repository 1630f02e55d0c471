"""What Slack, PagerDuty and the mail server took, as tellings: read from the messages as a person would."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator

from tests.fakes.smtp import FakeSmtp, Mail
from tests.fakes.webhooks import FakeWebhooks, Request
from tests.faults.alerts.records import Telling, TellingKind

_LINK = re.compile(r"/#/alerts/(\d+)")
_ACTIONS: dict[str, TellingKind] = {
    "trigger": "firing",
    "acknowledge": "acknowledged",
    "resolve": "over",
}


def read_tellings(web: FakeWebhooks, smtp: FakeSmtp) -> tuple[list[Telling], list[str]]:
    """Everything that was taken, and what is wrong with messages that say nothing."""
    found: list[Telling] = []
    unreadable: list[str] = []
    # Only what was answered as taken counts: an error that came after a silence is an error.
    for channel, tellings in (
        ("slack", [of_slack(each) for each in web.slack.all if each.status == 200]),
        ("pagerduty", [of_pagerduty(each) for each in web.pagerduty.all if each.status == 202]),
        ("email", [of_mail(each) for each in smtp.all]),
    ):
        for told in tellings:
            if not told:
                unreadable.append(f"{channel}: a message that names no alert")
            found += told
    return found, unreadable


def of_slack(request: Request) -> list[Telling]:
    """What a message to Slack tells, an alert a section."""
    blocks = request.json["attachments"][0]["blocks"]
    texts = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    return list(_parts("slack", texts, request.at_s))


def of_mail(mail: Mail) -> list[Telling]:
    """What a mail tells, an alert a part of its text."""
    body = mail.message.get_body(("plain",))
    text = "" if body is None else body.get_content()
    parts = text.replace("\r\n", "\n").split("\n\n")
    return list(_parts("email", parts, mail.at_s))


def of_pagerduty(request: Request) -> list[Telling]:
    """What an event tells of the one alert that it is about."""
    event = request.json
    numbers = [found for link in event["links"] if (found := _LINK.search(link["href"]))]
    return [
        Telling(
            "pagerduty",
            int(number[1]),
            _ACTIONS[event["event_action"]],
            _wall(request.at_s),
            event["dedup_key"],
        )
        for number in numbers[:1]
    ]


def _parts(channel: str, texts: Iterable[str], at_s: float) -> Iterator[Telling]:
    """A part that links to an alert is about it; only of what is over it says how long it lasted."""
    for text in texts:
        number = _LINK.search(text)
        if number is not None:
            kind: TellingKind = "over" if "Lasted:" in text else "firing"
            yield Telling(channel, int(number[1]), kind, _wall(at_s))


def _wall(monotonic_s: float) -> float:
    return monotonic_s + time.time() - time.monotonic()
