"""gunicorn's worker, with its own refusals in the shape of all the others."""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import time
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

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

# Another worker was quicker, or the client has gone again.
_NOBODY_THERE = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED)

# What a client is given to close its side, and how many bytes of it are still taken.
SEE_OFF_S = 2.0
MOST_HEARD_OUT = 65_536

_log = logging.getLogger(__name__)


class DashboardWorker(ThreadWorker):  # type: ignore[misc]  # the library is not typed
    """Waits neither for clients that say nothing nor for those that do not go; refuses in the shape of a problem."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # Connections that have had their last answer, with the bytes that still came; the oldest first.
        self._leaving: dict[TConn, int] = {}

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, which gets a thread when it says something.

        gunicorn gives it one at once, for up to five seconds: the spare connections of a few browsers keep everybody
        else waiting.
        """
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in _NOBODY_THERE:
                return
            raise
        self.nr_conns += 1
        connection = TConn(self.cfg, client, address, listener.getsockname())
        connection.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(connection)
        self.poller.register(
            connection.sock,
            selectors.EVENT_READ,
            partial(self.on_pending_socket_readable, connection),
        )

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """After a request: keep the connection or see it off, for which gunicorn would have the whole worker wait."""
        if fs.cancelled() or fs.exception() is not None or not fs.result():
            self._see_off(conn)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close what has been silent for too long, and those that should have gone."""
        super().murder_pending()
        now = time.monotonic()
        for connection in [one for one in self._leaving if one.timeout <= now]:
            self._gone(connection)

    def _see_off(self, connection: TConn) -> None:
        """Say that nothing more comes, and listen until the client has closed: closing on what it still sends would
        take the answer from it (RFC 9112, 9.6).
        """
        self._leaving[connection] = 0
        connection.timeout = time.monotonic() + SEE_OFF_S
        try:
            connection.sock.setblocking(False)
            connection.sock.shutdown(socket.SHUT_WR)
            self.poller.register(
                connection.sock, selectors.EVENT_READ, partial(self._hear_out, connection)
            )
        except (OSError, ValueError) as error:
            _log.debug("a client was gone already: %s", error)
            self._gone(connection)

    def _hear_out(self, connection: TConn, client: socket.socket) -> None:
        try:
            said = client.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            _log.debug("a client went away: %s", error)
            said = b""
        self._leaving[connection] += len(said)
        if not said or self._leaving[connection] > MOST_HEARD_OUT:
            self._gone(connection)

    def _gone(self, connection: TConn) -> None:
        del self._leaving[connection]
        self.nr_conns -= 1
        try:
            self.poller.unregister(connection.sock)
        except (OSError, KeyError, ValueError) as error:
            _log.debug("not waited for: %s", error)
        connection.close()

    def _cap_keepalive(self, deadline: float) -> None:
        """As the worker stops: neither do connections on which nothing was ever said keep it from ending."""
        super()._cap_keepalive(deadline)
        for connection in self.pending_conns:
            connection.timeout = min(connection.timeout, deadline)

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
