"""A message as an email: subject, plain text and HTML. Pure; an adapter makes MIME of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Final

from analytics_service.domain import notice_text
from analytics_service.domain.notices import AlertLine, Notice
from analytics_service.domain.wording import clean, name

MOST_SUBJECT: Final = 200
_COLOURS: Final = {"critical": "#c62828", "warning": "#b26a00", "info": "#1565c0"}
_OVER: Final = "#2e7d32"
_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9-]")

Section = tuple[str, str, list[tuple[str, str]]]
"""Title, colour, and pairs of what it is and how it is."""


@dataclass(frozen=True, slots=True)
class Email:
    """What to send. `message_id` and `thread_ids` are left parts of message ids: letters, digits and hyphens."""

    subject: str
    text: str
    html: str
    message_id: str
    thread_ids: tuple[str, ...]


def email_of(notice: Notice) -> Email:
    """The notice as an email; every message about an episode names that episode's thread."""
    first = notice_text.first_line(notice)
    sections = _sections(notice)
    links = _links(notice)
    more = notice_text.not_shown(notice)
    rest = f"and {more:,} more" if more > 0 else ""
    return Email(
        subject=clean(first, MOST_SUBJECT),
        text=_text(first, sections, rest, links),
        html=_html(first, sections, rest, links),
        message_id=_identifier(notice.message_id),
        thread_ids=tuple(
            dict.fromkeys(f"episode-{_identifier(line.episode_id)}" for line in _shown(notice))
        ),
    )


def _shown(notice: Notice) -> tuple[AlertLine, ...]:
    return notice.lines[: notice_text.MOST_LINES]


def _sections(notice: Notice) -> list[Section]:
    sections: list[Section] = []
    for line in _shown(notice):
        title = f"{notice_text.tag(line)} {notice_text.told(line, notice.at_s)}"
        rows = [] if notice.is_digest else notice_text.facts(line, notice.at_s)
        link = notice_text.alert_link(notice.dashboard_url, line.alert_id)
        sections.append((title, _colour(line), rows + ([("Details", link)] if link else [])))
    if notice.is_digest:
        return sections
    for service in dict.fromkeys(line.service for line in _shown(notice)):
        if service in notice.trends:
            title = f"The last 10 minutes of {name(service)}"
            sections.append((title, "#37474f", notice_text.changes(notice.trends[service])))
    return sections


def _links(notice: Notice) -> list[str]:
    """Where to look on, beside the links of the alerts."""
    if notice.is_digest:
        links = [notice_text.alerts_link(notice.dashboard_url)]
    else:
        services = dict.fromkeys(line.service for line in _shown(notice))
        links = [notice_text.service_link(notice.dashboard_url, each) for each in services]
    return [link for link in links if link]


def _text(first: str, sections: list[Section], rest: str, links: list[str]) -> str:
    blocks = [first]
    for title, _, rows in sections:
        lines = [] if title == first else [title]
        blocks.append("\n".join(lines + [f"{label}: {text}" for label, text in rows]))
    blocks += [rest] if rest else []
    blocks += ["\n".join(links)] if links else []
    return "\n\n".join(block for block in blocks if block) + "\n"


def _html(first: str, sections: list[Section], rest: str, links: list[str]) -> str:
    parts = [f"<p><strong>{escape(first)}</strong></p>"]
    for title, colour, rows in sections:
        heading = "" if title == first else f"<p><strong>{escape(title)}</strong></p>"
        cells = "".join(
            f'<tr><td style="padding:2px 12px 2px 0;color:#555;vertical-align:top">{escape(label)}</td>'
            f"<td>{_cell(label, text)}</td></tr>"
            for label, text in rows
        )
        table = f'<table style="border-collapse:collapse">{cells}</table>' if cells else ""
        parts.append(
            f'<div style="border-left:4px solid {colour};padding-left:12px;margin:12px 0">{heading}{table}</div>'
        )
    parts += [f"<p>{escape(rest)}</p>"] if rest else []
    parts += [f"<p>{_anchor(link)}</p>" for link in links]
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head>'
        f'<body style="font-family:sans-serif;font-size:15px">\n{body}\n</body></html>\n'
    )


def _cell(label: str, text: str) -> str:
    return _anchor(text) if label == "Details" else escape(text)


def _anchor(url: str) -> str:
    return f'<a href="{escape(url)}">{escape(url)}</a>'


def _colour(line: AlertLine) -> str:
    return _OVER if line.is_over else _COLOURS.get(line.severity, _COLOURS["critical"])


def _identifier(text: str) -> str:
    return _NOT_IN_IDS.sub("", text)[:64] or "none"
