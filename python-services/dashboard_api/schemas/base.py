"""What the shapes have in common, and that of every error."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

Percent = Annotated[float, Meta(description="Percent, 0 to 100.")]
Milliseconds = Annotated[
    float | None, Meta(description="Milliseconds; null where no event carries a latency.")
]
NextCursor = Annotated[
    str | None, Meta(description="`cursor` of the next page; null on the last one.")
]


class Answer(Struct, forbid_unknown_fields=True):
    """A body of which nothing is left unsaid: a member that is not declared may not be in it."""


class ParameterProblem(Answer):
    """What is wrong with one parameter, or one member of a body."""

    parameter: str
    detail: str


class ProblemBody(Answer, kw_only=True, omit_defaults=True):
    """RFC 9457: `type` is for programs, `detail` for people; `errors` names each parameter at fault."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ParameterProblem] | msgspec.UnsetType = msgspec.UNSET
    sqlstate: Annotated[
        str | msgspec.UnsetType, Meta(description="PostgreSQL's code of the error.")
    ] = msgspec.UNSET
