"""The test of a channel, as it is sent and answered."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from dashboard_api.schemas.base import Answer
from dashboard_api.schemas.texts import Channel


class NoMembers(Answer):
    """An object without members; the body may be empty."""


class ChannelTest(Answer):
    """The other side took the test message."""

    channel: Channel
    result: Annotated[str, Meta(extra_json_schema={"enum": ["sent"]})]
    detail: Annotated[str, Meta(description="What the other side answered.")]
