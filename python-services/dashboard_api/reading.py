"""What views do first: read the query strictly; and what no write may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import request

from dashboard_api.context import context
from dashboard_api.errors import Problem
from dashboard_api.parameters import Parameters

T = TypeVar("T")


def read_query(reads: Callable[[Parameters], T]) -> T:
    """What `reads` makes of the current query. Raises Problem 400 naming all that cannot be used."""
    query = Parameters(request.args, context().now())
    wanted = reads(query)
    query.check()
    return wanted


def read_nothing() -> None:
    """For views without parameters: Problem 400 when there are any."""
    read_query(_nothing)


def refuse_foreign() -> None:
    """Raise Problem 403 when a browser says that a write comes from a page of another site.

    Bodies have to be JSON, which a form cannot send and a foreign script may not: with this, other sites cannot
    act with a password that the browser remembers, neither with nor without a body.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    at_home = origin is None or origin.partition("://")[2] == request.host
    if site not in ("same-origin", "none") or not at_home:
        raise Problem(403, "foreign-origin", "Pages of other sites may not change anything here.")


def _nothing(_query: Parameters) -> None:
    """Reads no parameter."""
