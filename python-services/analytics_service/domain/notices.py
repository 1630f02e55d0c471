"""What a message says, before any channel gives it its form. Pure; all times are epoch seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

NoticeKind = Literal["firing", "repeat", "resolved", "passed"]
"""`passed`: it fired and is over, and both are told in one, because nobody could be told in time."""

RANK: Final[Mapping[str, int]] = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLine:  # pylint: disable=too-many-instance-attributes  # everything a message may say of it
    """One alert in a message. `value` None: there were no data; `operator` None: its rule is gone.

    `text`: not an alert of a rule but a message in somebody's own words; it is told instead of metric and values.
    """

    kind: NoticeKind
    alert_id: int
    episode_id: str
    fingerprint: str
    rule_name: str
    service: str
    severity: str
    metric_name: str
    window_size: str
    threshold: float
    operator: str | None = None
    value: float | None = None
    description: str | None = None
    active_since_s: float = 0.0
    resolved_s: float | None = None
    actor: str | None = None
    comment: str | None = None
    text: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it does not fire any more."""
        return self.kind in ("resolved", "passed")


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a service over a short time; None: there was nothing to compute it from.

    Error rate in percent, latency in milliseconds.
    """

    error_rate: float | None = None
    latency_p99_ms: float | None = None
    requests_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Trend:
    """What changed in the last ten minutes: then and now."""

    before: Figures
    now: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message about a service's alerts, or a digest about many services'.

    `lines` are the worst first; in a digest there may be fewer of them than `alerts`, the number of alerts it is
    about, in `services` services. `message_id` stays the same when the message is sent again. `dashboard_url` has no
    slash at its end; empty: there is no link.
    """

    message_id: str
    at_s: float
    lines: tuple[AlertLine, ...]
    is_digest: bool = False
    alerts: int = 1
    services: int = 1
    trends: Mapping[str, Trend] = field(default_factory=dict)
    dashboard_url: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing in it fires any more."""
        return all(line.is_over for line in self.lines)


PagerAction = Literal["trigger", "acknowledge", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerEvent:
    """One action about one episode, for a channel that keeps episodes itself. `is_past`: triggered only for the record,
    it is over already."""

    action: PagerAction
    line: AlertLine
    at_s: float
    trend: Trend | None = None
    is_past: bool = False
    dashboard_url: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt to send went; `detail` is for people and holds no secret.

    sent; retry: try again later (`retry_after_s`: the other side said when, `is_limited`: because we are too fast);
    refused: never try this again. `status` is the other side's code, of HTTP or SMTP; None: it gave none.
    `is_partial`: it was sent, but not to everybody; `detail` says so.
    """

    result: Literal["sent", "retry", "refused"]
    detail: str
    retry_after_s: float | None = None
    is_limited: bool = False
    status: int | None = None
    is_partial: bool = False

    @property
    def trouble(self) -> str | None:
        """What went wrong, if anything did: also in an attempt that was worth it."""
        return self.detail if self.result != "sent" or self.is_partial else None
