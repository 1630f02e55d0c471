"""A message as Slack's incoming webhooks take it. Pure.

Slack reads `&`, `<` and `>` in text as its own signs (`<!channel>` calls everybody), so everything that is not ours is
escaped, and cut before it is: half an entity would be shown as it stands. At most 50 blocks, 3,000 characters in one.
"""

from __future__ import annotations

from typing import Any, Final

from analytics_service.domain import notice_text
from analytics_service.domain.notices import AlertLine, Notice, Trend
from analytics_service.domain.wording import name

MOST_BLOCKS: Final = 50
MOST_SECTION: Final = 3000
MOST_HEADER: Final = 150
_MOST_TEXT: Final = 1000
_COLOURS: Final = {"critical": "#c62828", "warning": "#f9a825", "info": "#1565c0"}
_OVER: Final = "#2e7d32"
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str, most: int = MOST_SECTION) -> str:
    """`text` as mrkdwn that says just that, at most `most` characters after escaping."""
    pieces = [_ENTITIES.get(character, character) for character in text]
    size = 0
    for position, piece in enumerate(pieces):
        size += _units(piece)
        if size > most:
            return _cut(pieces[:position], most)
    return "".join(pieces)


def slack_payload(notice: Notice) -> dict[str, Any]:
    """The JSON body: the first line as text, which notifications show, and the rest as blocks with a coloured bar."""
    text = escape(notice_text.first_line(notice), _MOST_TEXT)
    blocks = _digest_blocks(notice) if notice.is_digest else _group_blocks(notice)
    attachment = {"color": _colour(notice), "fallback": text, "blocks": blocks[:MOST_BLOCKS]}
    return {
        "text": text,
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [attachment],
    }


def _group_blocks(notice: Notice) -> list[dict[str, Any]]:
    shown = notice.lines[: notice_text.MOST_LINES]
    blocks = [_section(_of_line(line, notice)) for line in shown]
    services = list(dict.fromkeys(line.service for line in shown))
    for service in services:
        if service in notice.trends:
            blocks.append(_section(_of_trend(service, notice.trends[service], len(services) > 1)))
    links = [
        _link(
            notice_text.service_link(notice.dashboard_url, service),
            f"{name(service, 80)} on the dashboard",
        )
        for service in services
    ]
    return blocks + _closing(notice, links)


def _digest_blocks(notice: Notice) -> list[dict[str, Any]]:
    shown = notice.lines[: notice_text.MOST_LINES]
    title = f"{notice.alerts:,} alerts in {notice.services:,} services"
    header = {"type": "plain_text", "text": title[:MOST_HEADER], "emoji": False}
    blocks: list[dict[str, Any]] = [{"type": "header", "text": header}]
    for line in shown:
        link = _link(notice_text.alert_link(notice.dashboard_url, line.alert_id), "details")
        blocks.append(_section(f"{_head(line, notice)} {link}".rstrip()))
    link = _link(notice_text.alerts_link(notice.dashboard_url), "All alerts on the dashboard")
    return blocks + _closing(notice, [link])


def _closing(notice: Notice, links: list[str]) -> list[dict[str, Any]]:
    more = notice_text.not_shown(notice)
    parts = [f"and {more:,} more"] if more > 0 else []
    parts += [link for link in links if link]
    if not parts:
        return []
    elements = [_mrkdwn(part) for part in parts[:10]]
    return [{"type": "context", "elements": elements}]


def _of_line(line: AlertLine, notice: Notice) -> str:
    link = _link(notice_text.alert_link(notice.dashboard_url, line.alert_id), "Alert details")
    facts = notice_text.facts(line, notice.at_s)
    rows = [f"*{label}:* {escape(text, 600)}" for label, text in facts]
    if len(notice.lines) > 1:
        rows.insert(0, _head(line, notice))
    # A row that does not fit is left out as a whole; the link is always there.
    left = MOST_SECTION - _units(link)
    fitting = []
    for row in rows:
        if _units(row) + 1 <= left:
            fitting.append(row)
            left -= _units(row) + 1
    return "\n".join([*fitting, link]).rstrip()


def _head(line: AlertLine, notice: Notice) -> str:
    told = f"{notice_text.tag(line)} {notice_text.told(line, notice.at_s)}"
    return escape(told, _MOST_TEXT)


def _of_trend(service: str, trend: Trend, names_service: bool) -> str:
    whose = f" of {escape(name(service, 80), 400)}" if names_service else ""
    rows = [f"{label} {escape(change)}" for label, change in notice_text.changes(trend)]
    return f"*Last 10 minutes{whose}:* " + ", ".join(rows)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: nothing that only looks like a link, a channel or a person becomes one.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _link(url: str | None, text: str) -> str:
    """`<url|text>`; empty without a URL, or when it is longer than anyone could follow."""
    if url is None:
        return ""
    address = escape(url, 5000).replace("|", "%7C")
    return f"<{address}|{escape(text, 500)}>" if len(address) <= 1500 else ""


def _colour(notice: Notice) -> str:
    if notice.is_over:
        return _OVER
    return _COLOURS.get(notice.lines[0].severity, _COLOURS["critical"])


def _units(text: str) -> int:
    """Length in UTF-16, which is how Slack may count: never less than in characters."""
    return sum(2 if ord(character) > 0xFFFF else 1 for character in text)


def _cut(pieces: list[str], most: int) -> str:
    while pieces and sum(map(_units, pieces)) > most - 1:
        pieces.pop()
    return "".join(pieces) + "…"
