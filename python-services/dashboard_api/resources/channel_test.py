"""`/alerts/test`: a test message through one channel."""

from __future__ import annotations

from flask import Blueprint, Response

from analytics_service.alerting.channel_test import ChannelOff, send_test
from analytics_service.domain.rules import CHANNELS
from dashboard_api.bodies import read_members
from dashboard_api.context import actor, context
from dashboard_api.errors import Problem, conflict
from dashboard_api.operations import operation
from dashboard_api.parameters import Declared, Parameters
from dashboard_api.reading import read_query
from dashboard_api.responses import json_answer
from dashboard_api.roles import admin_only
from dashboard_api.schemas.channel_test import ChannelTest, NoMembers

blueprint = Blueprint("channel_test", __name__)

_CHANNEL = Declared(
    "channel",
    "Where to send it.",
    {"type": "string", "enum": list(CHANNELS)},
    required=True,
)


def _read(query: Parameters) -> str:
    channel = query.parsed("channel", _named, "", _CHANNEL)
    if not channel:
        query.refuse("channel", f"must be given: one of {', '.join(CHANNELS)}")
    return channel


def _named(text: str) -> str:
    if text not in CHANNELS:
        raise ValueError(f"must be one of {', '.join(CHANNELS)}")
    return text


@blueprint.post("/alerts/test")
@admin_only
@operation(
    "Send a test message",
    body=NoMembers,
    answer=ChannelTest,
    reads=_read,
    problems=(409, 502),
)
def test_channel() -> Response:
    """One message that says it is a test. 409 when the channel is off; 502 when the other side did not take it."""
    channel = read_query(_read)
    read_members(NoMembers)
    shared = context()
    try:
        outcome = send_test(shared.settings, channel, actor(), shared.now().timestamp())
    except ChannelOff as error:
        raise conflict(error) from None
    if outcome.result != "sent":
        raise Problem(502, "not-delivered", f"{channel}: {outcome.detail}.")
    return json_answer(ChannelTest(channel, outcome.result, outcome.detail))
