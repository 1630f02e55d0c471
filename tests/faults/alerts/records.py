"""What is left of a run to be judged: plain records, whoever wrote them. Times are epoch seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.faults.alerts.timeline import Outbreak

TellingKind = Literal["firing", "acknowledged", "over"]


@dataclass(frozen=True)
class Step:
    """A row of the history, or what a message of the topic says of it."""

    transition_id: str
    episode_id: str
    alert_id: int
    sequence: int
    from_status: str
    to_status: str
    at_s: float


@dataclass(frozen=True)
class Alert:
    """A row of analytics_alerts."""

    alert_id: int
    episode_id: str
    rule: str
    service: str
    status: str
    pending_s: float | None
    active_s: float | None
    resolved_s: float | None


@dataclass(frozen=True)
class Delivery:
    """A row of alert_deliveries."""

    episode_id: str
    channel: str
    kind: str
    status: str
    reason: str | None


@dataclass(frozen=True)
class Telling:
    """What the other side of a channel took about one alert; `key` is PagerDuty's."""

    channel: str
    alert_id: int
    kind: TellingKind
    at_s: float
    key: str | None = None


@dataclass(frozen=True)
class Rule:
    """What the judge has to know of a rule."""

    name: str
    severity: str
    duration_s: float
    keep_s: float
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Hush:
    """A silence about one service."""

    service: str
    from_s: float
    until_s: float


@dataclass(frozen=True)
class Seen:
    """An open alert as a look at the tables found it while the run went on."""

    alert_id: int
    rule: str
    service: str
    pending_s: float | None
    active_s: float | None


@dataclass(frozen=True)
class Spell:
    """A time in which something was wrong with the notifiers or their database."""

    what: str
    from_s: float
    until_s: float


@dataclass
class Records:
    """Everything."""

    rules: Sequence[Rule]
    alerts: Sequence[Alert] = ()
    history: Sequence[Step] = ()
    topic: Sequence[Step] = ()
    deliveries: Sequence[Delivery] = ()
    tellings: Sequence[Telling] = ()
    silences: Sequence[Hush] = ()
    outbreaks: Sequence[Outbreak] = ()
    seen: Sequence[Seen] = ()
    spells: Sequence[Spell] = ()
    unreadable: Sequence[str] = field(default_factory=list)
