"""What each view promises, noted beside it: the source of the API's description, and nothing else.

    @blueprint.get("/metrics/summary")
    @operation("One merged row per service", answer=Summary, reads=_read)
    def summary() -> Response: ...

`reads` is the very function that reads the query of a request, so that a parameter is declared once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dashboard_api.parameters import Parameters

Reads = Callable[[Parameters], object]
View = TypeVar("View", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Operation:
    """One view's promise.

    `answer` is the type of the JSON body (None: there is none); `status` that of success; `other` has the
    types of further answers by status that are no problems; `problems` the statuses of errors beyond
    those that every operation may answer; `media` of a body that is no JSON.
    """

    summary: str
    answer: Any = None
    reads: Reads | None = None
    body: Any = None
    status: int = 200
    other: tuple[tuple[int, Any], ...] = ()
    problems: tuple[int, ...] = ()
    media: str | None = None


_operations: dict[Callable[..., object], Operation] = {}


def operation(
    summary: str,
    *,
    answer: Any = None,
    reads: Reads | None = None,
    body: Any = None,
    status: int = 200,
    other: dict[int, Any] | None = None,
    problems: Sequence[int] = (),
    media: str | None = None,
) -> Callable[[View], View]:
    """Note what the decorated view promises; see Operation. Its docstring is the description."""

    def note(view: View) -> View:
        _operations[view] = Operation(
            summary,
            answer,
            reads,
            body,
            status,
            tuple((other or {}).items()),
            tuple(problems),
            media,
        )
        return view

    return note


def operation_of(view: Callable[..., object] | None) -> Operation | None:
    """The promise of a view; None when it made none."""
    return None if view is None else _operations.get(view)
