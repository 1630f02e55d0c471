"""Every error as RFC 9457 `application/problem+json`; never a stack trace, never SQL."""

from __future__ import annotations

import logging
from http import HTTPStatus

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from dashboard_api.schemas.base import ParameterProblem, ProblemBody

_log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 2


class Problem(Exception):
    """An answer that is an error.

    `kind` is the machine-readable last part of the problem's type; `parameters` maps the name of
    each parameter at fault to what is wrong with it; `sqlstate` is PostgreSQL's code, where the client's
    own SQL is at fault.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        parameters: dict[str, str] | None = None,
        headers: list[tuple[str, str]] | None = None,
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.parameters = parameters or {}
        self.headers = headers or []
        self.sqlstate = sqlstate


def invalid_parameters(parameters: dict[str, str]) -> Problem:
    """400 naming each parameter that cannot be used and why."""
    detail = "; ".join(f"{name}: {why}" for name, why in parameters.items())
    return Problem(400, "invalid-parameter", detail, parameters=parameters)


def not_found(error: Exception) -> Problem:
    """404 with the message of an exception, such as `there is no rule 'x'`, as a sentence."""
    return Problem(404, "not-found", _sentence(error))


def conflict(error: Exception, parameters: dict[str, str] | None = None) -> Problem:
    """409 with the message of an exception: the state of things does not allow what was asked for."""
    return Problem(409, "conflict", _sentence(error), parameters=parameters)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def unavailable(detail: str) -> Problem:
    """503: a part this answer needs does not work; the client may try again soon."""
    return Problem(503, "unavailable", detail, headers=[("Retry-After", str(RETRY_AFTER_S))])


def problem_body(problem: Problem, instance: str) -> bytes:
    """The JSON of a problem. `instance` is the path that was asked for."""
    body = ProblemBody(
        type=f"urn:stacklens:problem:{problem.kind}",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        instance=instance,
    )
    if problem.parameters:
        body.errors = [ParameterProblem(name, why) for name, why in problem.parameters.items()]
    if problem.sqlstate is not None:
        body.sqlstate = problem.sqlstate
    return msgspec.json.encode(body)


def register_error_handlers(app: Flask) -> None:
    """Turn every exception of `app` into a problem."""
    app.register_error_handler(Problem, _of_problem)
    app.register_error_handler(HTTPException, _of_http_exception)
    app.register_error_handler(Exception, _of_defect)


def _of_problem(problem: Problem) -> Response:
    response = Response(
        problem_body(problem, request.path), status=problem.status, content_type=PROBLEM_JSON
    )
    for name, value in problem.headers:
        response.headers.add(name, value)
    return response


def _of_http_exception(error: HTTPException) -> Response:
    status = error.code or 500
    phrase = HTTPStatus(status).phrase
    headers = [
        (name, value)
        for name, value in error.get_headers()
        if name.lower() in ("allow", "retry-after")
    ]
    details = {
        404: "There is nothing under this path.",
        405: f"{request.method} is not possible here.",
    }
    kind = phrase.lower().replace(" ", "-")
    return _of_problem(Problem(status, kind, details.get(status, f"{phrase}."), headers=headers))


def _of_defect(error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.path, exc_info=error)
    detail = "Something went wrong here; it is in the log of the service."
    return _of_problem(Problem(500, "internal-error", detail))
