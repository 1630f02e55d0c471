"""Health and metrics over HTTP, in threads of their own: a blocked event loop turns /health red instead of silent."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from analytics_service.health import Health


class HealthServer:
    """Serves /health, /health/ready and /metrics on all addresses; OSError when the port is taken."""

    def __init__(
        self,
        port: int,
        service: str,
        health: Health,
        registry: CollectorRegistry | None,
        setting: str = "METRICS_PORT",
    ) -> None:
        handler = type(
            "Handler", (_Handler,), {"service": service, "health": health, "registry": registry}
        )
        self._server = _listen(port, handler, setting)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()


def _listen(port: int, handler: type[BaseHTTPRequestHandler], setting: str) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer(("", port), handler)
    except OSError as error:
        advice = f"set {setting} to another port, or to 0 for a free one"
        raise OSError(
            error.errno, f"cannot listen on port {port}: {error.strerror}; {advice}"
        ) from error


class _Handler(BaseHTTPRequestHandler):
    service: str
    health: Health
    registry: CollectorRegistry | None
    timeout = 10

    def do_GET(self) -> None:  # pylint: disable=invalid-name  # the name http.server calls
        """Answer one request."""
        path = self.path.split("?", 1)[0].rstrip("/")
        if path == "/health":
            dead = self.health.dead_reason()
            self._json({"consumption": dead} if dead else {}, "healthy", "unhealthy")
        elif path == "/health/ready":
            self._json(self.health.unready_reasons(), "ready", "unready")
        elif path == "/metrics" and self.registry is not None:
            self._send(200, CONTENT_TYPE_LATEST, generate_latest(self.registry))
        else:
            self._send(404, "application/problem+json", b'{"title":"Not Found","status":404}')

    do_HEAD = do_GET

    def _json(self, reasons: dict[str, Any], good: str, bad: str) -> None:
        body = {"status": bad if reasons else good, "service": self.service, "failing": reasons}
        self._send(503 if reasons else 200, "application/json", msgspec.json.encode(body))

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # pylint: disable=redefined-builtin  # its name
        """Probes every few seconds are not worth a line."""
