"""Asking the API again and again over one connection, and what came of each time."""

from __future__ import annotations

import base64
import http.client
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click

from analytics_service.entrypoints.cli.api_access import Login

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One request: `status` None means that there was no whole answer, `error` then says why."""

    path: str
    status: int | None
    latency_ms: float
    error: str = ""


class ApiPath(click.ParamType):
    """A path below the base URL, with its query."""

    name = "PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path, or a usage error."""
        path = str(value)
        if not path.startswith("/") or path.startswith("//") or "#" in path:
            self.fail(
                f"must begin with one / and hold no #, such as /health-status, not {path!r}",
                param,
                ctx,
            )
        if not path.isascii() or not path.isprintable() or " " in path:
            self.fail(
                f"must be written with percent signs, such as %20 for a blank: {path!r}", param, ctx
            )
        return path


class Client:
    """One client of the API with one connection, kept alive. For one thread; use as `contextlib.closing`."""

    def __init__(self, base_url: str, login: Login | None, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(base_url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        self._prefix = parts.path
        self._headers = {"Accept": "application/json", "User-Agent": "stacklens-load"}
        if login is not None:
            token = base64.b64encode(":".join(login).encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"
        self.connections = 0

    def ask(self, path: str) -> Shot:
        """One GET, until its answer is read to the end; raises nothing for what server and network do."""
        started = time.perf_counter()
        status, error = None, ""
        try:
            status = self._status(path)
        except (OSError, http.client.HTTPException) as failure:
            error = _kind(failure)
            self.close()
        return Shot(path, status, (time.perf_counter() - started) * 1000.0, error)

    def close(self) -> None:
        """End the connection; the next request makes another one."""
        self._connection.close()

    def _status(self, path: str) -> int:
        is_reused = self._connection.sock is not None
        try:
            return self._once(path)
        except ConnectionError:
            # A server may end a connection that is kept alive just when it is used again: that is no error.
            if not is_reused:
                raise
        self.close()
        return self._once(path)

    def _once(self, path: str) -> int:
        if self._connection.sock is None:
            self._connection.connect()
            self.connections += 1
        self._connection.request("GET", self._prefix + path, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def _kind(error: Exception) -> str:
    """What kind of failure it was, in words that are the same for all of one kind."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its TLS certificate is not trusted"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected):
        return "the answer broke off"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
