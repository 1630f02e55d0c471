"""`/alerts/<id>/acknowledge` and `/resolve`: people's hands on alerts."""

from __future__ import annotations

from flask import Blueprint, Response

from analytics_service.adapters.timescale.alert_hands import Action, NoSuchAlert, NotOpen, act
from dashboard_api.bodies import read_members
from dashboard_api.context import actor, context
from dashboard_api.errors import conflict, not_found
from dashboard_api.operations import operation
from dashboard_api.paths import NUMBER
from dashboard_api.reading import read_nothing
from dashboard_api.resources.alerts import known_alert
from dashboard_api.responses import json_answer
from dashboard_api.roles import admin_only
from dashboard_api.schemas.alerts import AlertRow
from dashboard_api.schemas.comments import CommentBody

blueprint = Blueprint("alert_hands", __name__)


@blueprint.post(f"/alerts/<{NUMBER}:alert_id>/acknowledge")
@admin_only
@operation("Take an alert on", body=CommentBody, answer=AlertRow, problems=(404, 409))
def acknowledge(alert_id: int) -> Response:
    """An active alert is acknowledged: it is not repeated any more. 409 in any other state."""
    return _do(alert_id, "acknowledge")


@blueprint.post(f"/alerts/<{NUMBER}:alert_id>/resolve")
@admin_only
@operation("End an alert by hand", body=CommentBody, answer=AlertRow, problems=(404, 409))
def resolve(alert_id: int) -> Response:
    """An active or acknowledged alert is resolved; 409 in any other state.

    If its rule is still violated, another one begins.
    """
    return _do(alert_id, "resolve")


def _do(alert_id: int, action: Action) -> Response:
    read_nothing()
    comment = read_members(CommentBody).comment
    with context().writer.transaction() as cursor:
        try:
            act(cursor.connection, alert_id, action, actor(), comment)
        except NoSuchAlert as error:
            raise not_found(error) from None
        except NotOpen as error:
            raise conflict(error) from None
        return json_answer(AlertRow(**known_alert(cursor, alert_id)))
