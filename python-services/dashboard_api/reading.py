"""What views do first: read the query strictly, and for writes the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from flask import request

from dashboard_api.context import context
from dashboard_api.errors import Problem, invalid_parameters
from dashboard_api.parameters import Parameters

T = TypeVar("T")
_WHERE = " - at `$"


def read_query(reads: Callable[[Parameters], T]) -> T:
    """What `reads` makes of the current query. Raises Problem 400 naming all that cannot be used."""
    query = Parameters(request.args, context().now())
    wanted = reads(query)
    query.check()
    return wanted


def read_nothing() -> None:
    """For views without parameters: Problem 400 when there are any."""
    read_query(_nothing)


def read_body(kind: type[T]) -> T:
    """The JSON body of the current request as `kind`.

    Raises Problem 403 when a page of another site sent it, 415 unless it is declared as JSON, and 400
    naming the member that cannot be used. A browser's form can send no JSON, and its scripts may not
    without our consent: together these keep other sites from acting with somebody's password.
    """
    refuse_foreign()
    if request.mimetype != "application/json":
        raise Problem(
            415,
            "unsupported-media-type",
            "The body must be sent as Content-Type: application/json.",
        )
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except msgspec.ValidationError as error:
        raise _refused(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "invalid-body", "The body is not valid JSON.") from None


def refuse_foreign() -> None:
    """Raise Problem 403 when a browser says that the request comes from a page of another site."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    at_home = origin is None or origin.partition("://")[2] == request.host
    if site not in ("same-origin", "none") or not at_home:
        raise Problem(403, "foreign-origin", "Pages of other sites may not change anything here.")


def _refused(message: str) -> Problem:
    """msgspec's sentence, `Expected `int`, got `str` - at `$.limit``, as a problem with that member."""
    why, _, place = message.partition(_WHERE)
    member = place.rstrip("`").lstrip(".")
    if not member and "field `" in why:
        member = why.split("field `", 1)[1].split("`", 1)[0]
    return invalid_parameters({member or "body": why})


def _nothing(_query: Parameters) -> None:
    """Reads no parameter."""
