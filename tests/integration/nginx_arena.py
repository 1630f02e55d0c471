"""Debian's nginx with our configuration on loopback: a name server, replicas that can be ended, nginx before them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from devstack.nginx import Nginx
from devstack.ports import free_port, listening
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "nginx" / "templates"
API, WORKER = "dashboard-api", "analytics-service"


class NameServer:
    """Answers questions for addresses (type A) from a table that a test may change."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                question, client = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += question[at] + 1
        asked = question[12 : at + 5]
        addresses = self.names.get(".".join(labels), [])
        code = 0x8180 if addresses else 0x8183  # 3: no such name
        head = question[:2] + struct.pack(">HHHHH", code, 1, len(addresses), 0, 0)
        records = (
            b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(each)
            for each in addresses
        )
        return head + asked + b"".join(records)


class Replica:
    """Answers as a replica of the API or a worker would, and keeps what it was asked."""

    def __init__(self, address: str, port: int) -> None:
        self.name = address
        self.seen: list[tuple[str, Mapping[str, str]]] = []
        handler = type("Handler", (_Handler,), {"replica": self})
        self._server = _Server((address, port), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Gone: connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    replica: Replica
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # pylint: disable=invalid-name  # the name http.server calls
        """`/status/N` answers N; `/big` something worth compressing; a wrong password 401."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.replica.seen.append((self.path, dict(self.headers)))
        wanted = re.match(r"/status/(\d+)", self.path)
        status = int(wanted[1]) if wanted else 200
        if self.headers.get("Authorization") == "Basic wrong" or self.path == "/private":
            status = 401
        body = json.dumps({"replica": self.replica.name, "pad": "x" * 5000 * (self.path == "/big")})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Frame-Options", "SAMEORIGIN")
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="r", charset="UTF-8"')
            self.send_header("WWW-Authenticate", 'Bearer realm="r"')
        if status == 429:
            self.send_header("Retry-After", "17")
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:  # pylint: disable=redefined-builtin
        """Nobody reads it."""


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass
class Arena:
    """A running nginx and what it needs."""

    nginx: Nginx
    directory: Path
    names: NameServer
    ports: dict[str, int]
    authority: Path
    replicas: dict[str, Replica] = field(default_factory=dict)

    def add(self, kind: str, address: str) -> Replica:
        """One more replica, known to the name server."""
        replica = Replica(address, self.ports[f"{kind} upstream"])
        self.replicas[address] = replica
        self.names.names.setdefault(kind, []).append(address)
        return replica

    def get(
        self,
        path: str,
        to: str = API,
        method: str = "GET",
        body: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """One request on a connection of its own; header names with _ for -."""
        connection: http.client.HTTPConnection
        if to == "tls":
            trusting = ssl.create_default_context(cafile=str(self.authority))
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.ports[to], timeout=10, context=trusting
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[to], timeout=10)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            found = connection.getresponse()
            return Answer(found.status, found.headers, found.read())

    def log(self) -> list[dict[str, Any]]:
        """The access log."""
        lines = (self.directory / "access.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def reload(self) -> None:
        """What `nginx -s reload` does."""
        os.kill(int((self.directory / "nginx.pid").read_text()), signal.SIGHUP)


def render(directory: Path, values: Mapping[str, str]) -> None:
    """The templates, as the image's entrypoint fills them in: names that are set, and nothing else."""
    for template in TEMPLATES.glob("*.template"):
        text = re.sub(
            r"\$\{(\w+)\}",
            lambda found: values.get(found[1], found[0]),
            template.read_text(encoding="utf-8"),
        )
        assert "${STACKLENS_" not in text
        # No container: the log is a file.
        text = text.replace("/dev/stdout", str(directory / "access.log"))
        (directory / template.name.removesuffix(".template")).write_text(text, encoding="utf-8")


@contextlib.contextmanager
def running(nginx: Nginx, directory: Path, certificates: Path) -> Iterator[Arena]:
    """nginx, until the end of the block; TLS if there are certificates."""
    names = NameServer()
    kinds = (API, WORKER, "tls", f"{API} upstream", f"{WORKER} upstream")
    found = {kind: free_port() for kind in kinds}
    arena = Arena(nginx, directory, names, found, certificates / "ca.pem")
    ports = arena.ports
    values = {
        "STACKLENS_RUN_DIR": str(directory),
        "STACKLENS_CONF_DIR": str(directory),
        "STACKLENS_MIME_TYPES": str(nginx.mime_types),
        "STACKLENS_RESOLVER": f"127.0.0.1:{names.port}",
        "STACKLENS_FRONT_PROXY": "127.0.0.1",
        "STACKLENS_API_LISTEN": f"127.0.0.1:{ports[API]}",
        "STACKLENS_WORKER_LISTEN": f"127.0.0.1:{ports[WORKER]}",
        "STACKLENS_TLS_LISTEN": f"127.0.0.1:{ports['tls']}",
        "STACKLENS_API_UPSTREAM": f"{API}:{ports[f'{API} upstream']}",
        "STACKLENS_WORKER_UPSTREAM": f"{WORKER}:{ports[f'{WORKER} upstream']}",
        "STACKLENS_CERTIFICATES": str(certificates),
    }
    render(directory, values)
    subprocess.run([ROOT / "nginx/40-tls.sh"], env={**os.environ, **values}, check=True)
    # Started by root, its workers would be somebody who may not write here.
    more = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"
    with subprocess.Popen(
        [*nginx.command, "-p", directory, "-c", directory / "nginx.conf", "-g", more],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=dict(nginx.env),
    ) as process:
        try:
            wait_until(
                lambda: process.poll() is not None or listening(ports[WORKER]), 10, "nginx listens"
            )
            if process.poll() is not None:
                assert process.stderr is not None
                raise AssertionError(process.stderr.read().decode())
            yield arena
        finally:
            process.terminate()
            process.wait(10)
            for replica in arena.replicas.values():
                replica.close()
            names.close()
