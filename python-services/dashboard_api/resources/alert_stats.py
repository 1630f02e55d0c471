"""`/alert-stats`: how many alerts, and how telling people of them goes."""

from __future__ import annotations

from flask import Blueprint, Response

from dashboard_api.context import context
from dashboard_api.operations import operation
from dashboard_api.queries.alert_stats import channel_figures, severity_figures
from dashboard_api.reading import read_nothing
from dashboard_api.responses import json_answer
from dashboard_api.schemas.alert_stats import AlertStats

blueprint = Blueprint("alert_stats", __name__)


@blueprint.get("/alert-stats")
@operation("Figures of alerts and of the channels they are told on", answer=AlertStats)
def alert_stats() -> Response:
    """Alerts by severity and status; each channel: on or off, and its deliveries of 24 hours."""
    read_nothing()
    shared = context()
    with shared.reader.snapshot() as cursor:
        severities = severity_figures(cursor)
        channels = channel_figures(cursor)
    return json_answer(AlertStats(severities=severities, channels=channels, timestamp=shared.now()))
