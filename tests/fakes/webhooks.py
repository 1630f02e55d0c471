"""Slack and PagerDuty, played by one HTTP server."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.records import Listener, Records
from tests.fakes.rules import Reply, pagerduty_reply, slack_reply

SLACK_PATH = "/services/T00000000/B00000000/not-a-real-webhook"
PAGERDUTY_PATH = "/v2/enqueue"


@dataclass(frozen=True)
class Request:
    """One request as it came in; `at_s` of time.monotonic, `status` as answered."""

    at_s: float
    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def json(self) -> Any:
        """The body as JSON; ValueError when it is none."""
        return json.loads(self.body)

    @property
    def summary(self) -> str:
        """One line about it."""
        if not self.path.startswith("/services/"):
            try:
                event = self.json
                return f"pagerduty {self.status} {event['event_action']} {event['payload']['summary']!r}"
            except (ValueError, LookupError, TypeError):
                return f"pagerduty {self.status} {self.body[:200]!r}"
        try:
            return f"slack {self.status} {self.json['text']!r}"
        except (ValueError, LookupError, TypeError):
            return f"slack {self.status} {self.body[:200]!r}"

    def as_json(self) -> dict[str, Any]:
        """Everything about it but the headers."""
        return {
            "kind": "slack" if self.path.startswith("/services/") else "pagerduty",
            "status": self.status,
            "body": self.body.decode("utf-8", "replace"),
        }


class Endpoint:
    """One of the two: its records, and what it is to answer. Without a script it answers as the real one would."""

    def __init__(self, real: Callable[[bytes], Reply], listener: Listener | None) -> None:
        self.requests: Records[Request] = Records(listener)
        self.always: Reply | None = None
        self.least_gap_s = 0.0
        self._real = real
        self._next: deque[Reply | None] = deque()
        self._lock = threading.Lock()
        self._last_s = float("-inf")

    def script(self, *replies: Reply | None) -> None:
        """What the next requests are answered; None: as the real one would."""
        with self._lock:
            self._next.extend(replies)

    def reply(self, body: bytes, now_s: float) -> Reply:
        """What to answer now: too fast, the script, always the same, or as the real one."""
        with self._lock:
            if now_s - self._last_s < self.least_gap_s:
                said = {"retry_after": 1, "ok": False, "error": "rate_limited"}
                return Reply(429, json.dumps(said), {"Retry-After": "1"})
            self._last_s = now_s
            scripted = self._next.popleft() if self._next else self.always
        return self._real(body) if scripted is None else scripted

    def wait(self, count: int, deadline_s: float = 10.0) -> list[Request]:
        """All requests, as soon as there are `count`; AssertionError after `deadline_s` seconds."""
        return self.requests.wait(count, deadline_s)

    @property
    def all(self) -> list[Request]:
        """All requests so far."""
        return self.requests.all


class FakeWebhooks:
    """The server, from entering to leaving; port 0: a free one. `routing_key`: the only one that PagerDuty knows."""

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        routing_key: str | None = None,
        tls: ssl.SSLContext | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.slack = Endpoint(slack_reply, listener)
        self.pagerduty = Endpoint(lambda body: pagerduty_reply(body, routing_key), listener)
        self.closing = threading.Event()
        self._server = _Server((host, port), _Handler)
        self._server.fake = self
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="fake-webhooks", daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def slack_url(self) -> str:
        """The webhook."""
        return f"{self._scheme}://127.0.0.1:{self.port}{SLACK_PATH}"

    @property
    def pagerduty_url(self) -> str:
        """Where events go."""
        return f"{self._scheme}://127.0.0.1:{self.port}{PAGERDUTY_PATH}"

    def endpoint(self, path: str) -> Endpoint | None:
        """Who is meant by a path."""
        if path.startswith("/services/"):
            return self.slack
        return self.pagerduty if path == PAGERDUTY_PATH else None

    def __enter__(self) -> FakeWebhooks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    fake: FakeWebhooks
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or does not trust the certificate, is nobody's error here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:  # the name that http.server calls
        """Record what came, answer what is scripted."""
        at_s = time.monotonic()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        endpoint = self.server.fake.endpoint(self.path)
        if endpoint is None:
            self._answer(Reply(404, "no such path"))
            return
        reply = endpoint.reply(body, at_s)
        endpoint.requests.add(
            Request(at_s, self.path, dict(self.headers.items()), body, reply.status)
        )
        if reply.hang_s and self.server.fake.closing.wait(reply.hang_s):
            return
        self._answer(reply)

    def _answer(self, reply: Reply) -> None:
        body = reply.body.encode()
        self.send_response(reply.status)
        for name, value in _headers(
            reply.headers.items(), len(body) + 1_000_000 * (reply.is_cut or reply.drips)
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        while reply.drips and not self.server.fake.closing.wait(0.02):
            self.wfile.write(b" ")
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # pylint: disable=redefined-builtin
        """Nothing: the records say it all."""


def _headers(given: Iterable[tuple[str, str]], length: int) -> list[tuple[str, str]]:
    return [*given, ("Content-Length", str(length)), ("Connection", "close")]
