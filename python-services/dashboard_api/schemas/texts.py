"""Texts and numbers that bodies carry, as their description shows them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from analytics_service.adapters.timescale.audit import LONGEST_COMMENT
from analytics_service.domain.rule_files import LONGEST_NAME
from analytics_service.domain.rules import (
    CHANNELS,
    METRICS,
    NO_DATA_POLICIES,
    OPERATORS,
    SEVERITIES,
)
from analytics_service.domain.windows import WINDOWS

NO_NUL = "^[^\\x00]*$"

Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME, pattern=NO_NUL)]
Comment = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_COMMENT, pattern=NO_NUL, description="Why.")
]
Moment = Annotated[
    str,
    Meta(
        description="ISO 8601 (without a zone: UTC), now, or relative to now such as +2h or -30m."
    ),
]
Severity = Annotated[str, Meta(extra_json_schema={"enum": list(SEVERITIES)})]
MetricName = Annotated[str, Meta(extra_json_schema={"enum": list(METRICS)})]
Channel = Annotated[str, Meta(extra_json_schema={"enum": list(CHANNELS)})]
Operator = Annotated[str, Meta(extra_json_schema={"enum": list(OPERATORS)})]
NoDataPolicy = Annotated[str, Meta(extra_json_schema={"enum": list(NO_DATA_POLICIES)})]
WindowSize = Annotated[str, Meta(extra_json_schema={"enum": [window.name for window in WINDOWS]})]
Seconds = Annotated[int, Meta(ge=0, lt=2**31, description="Seconds.")]
Requests = Annotated[int, Meta(ge=1, lt=2**31)]
