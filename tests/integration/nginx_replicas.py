"""What stands behind nginx in its tests: a name server with a table, and replicas that can be ended."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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
        """`/status/N` and `?status=N` answer N; `/big` something worth compressing; a wrong password 401."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.replica.seen.append((self.path, dict(self.headers)))
        wanted = re.search(r"[/?]status[/=](\d+)", self.path)
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
