"""gunicorn's worker, with its own refusals in the shape of all the others."""

from __future__ import annotations

import logging
import socket
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from dashboard_api.errors import PROBLEM_JSON, Problem, problem_body
from dashboard_api.responses import API_VERSION

_STATUS_OF: tuple[tuple[type[Exception], int], ...] = (
    (errors.LimitRequestLine, 414),
    (errors.LimitRequestHeaders, 431),
    (errors.ExpectationFailed, 417),
    (errors.ForbiddenProxyRequest, 403),
    (errors.UnsupportedTransferCoding, 501),
    (errors.ConfigurationProblem, 500),
    (errors.ParseException, 400),
)

_log = logging.getLogger(__name__)


class DashboardWorker(ThreadWorker):  # type: ignore[misc]  # the library is not typed
    """Refuses what is no HTTP request with a problem instead of a page of HTML."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer a request that never reached the application."""
        status = next((status for kind, status in _STATUS_OF if isinstance(exc, kind)), 500)
        if status == 500:
            _log.error("a request from %s failed", addr, exc_info=exc)
        else:
            _log.warning("refused a request from %s: %s", addr, exc)
        try:
            client.sendall(refusal(status))
        except OSError as error:
            _log.debug("the client %s went away: %s", addr, error)
        del req


def refusal(status: int) -> bytes:
    """A whole HTTP answer with a problem in it, after which the connection is closed."""
    phrase = HTTPStatus(status).phrase
    kind = phrase.lower().replace(" ", "-")
    body = problem_body(
        Problem(status, kind, f"{phrase}: this is not a request that can be read."), "/"
    )
    head = (
        f"HTTP/1.1 {status} {phrase}\r\n"
        f"Content-Type: {PROBLEM_JSON}\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"X-API-Version: {API_VERSION}\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
