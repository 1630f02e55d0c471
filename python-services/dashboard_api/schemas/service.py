"""The API about itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dashboard_api.schemas.base import Answer


class Alive(Answer):
    """The process answers; nothing else was looked at."""

    status: Literal["alive"]


class Component(Answer):
    """One part that the API needs."""

    status: Literal["healthy", "unhealthy"]
    detail: str


class Verdict(Answer, omit_defaults=True):
    """Whether the API can do its work; `failed` names the parts that do not work, if any."""

    status: Literal["healthy", "unhealthy", "ready", "not ready"]
    service: Literal["dashboard-api"]
    components: dict[str, Component]
    timestamp: datetime
    failed: list[str] | msgspec.UnsetType = msgspec.UNSET


class Stats(Answer):
    """Counts over all workers and replicas of the API, and totals of the database."""

    service: Literal["dashboard-api"]
    version: str
    api_version: str
    requests_served: Annotated[
        int, Meta(description="By all replicas there ever were, this request included.")
    ]
    uptime_seconds: Annotated[
        float, Meta(description="Of the replica that runs longest among those that run.")
    ]
    replicas: Annotated[int, Meta(description="Replicas that run.")]
    workers: Annotated[int, Meta(description="Worker processes of all of them.")]
    events_stored: int
    events_dead_lettered: int
    events_lost_to_retention: int
    dead_letters_pending: int
    timestamp: datetime
