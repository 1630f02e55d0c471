"""HTTP clients with keep-alive, all in one thread of a process of its own: it must cost less than what it measures.

Paced clients ask at moments of their own, one every `pace_s` seconds, as an open page does; the time of an answer
counts from that moment, also when the client was still waiting for the answer before (nothing is left out because
the server was slow). Saturating ones ask again as soon as they have their answer: with N of them, the time of an
answer is N / throughput on average, whatever a single request costs.
"""

from __future__ import annotations

import random
import selectors
import socket
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.errors import BenchError

ANSWER_WITHIN_S: Final = 30.0
_RECEIVED_AT_ONCE: Final = 1 << 18


class NoAnswer(BenchError):
    """The API refused, or did not answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the API is, and who asks."""

    host: str
    port: int
    user: str
    password: str

    def request(self, path: str) -> bytes:
        """A GET as a browser sends it."""
        token = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return (
            f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Basic {token}\r\n"
            "Accept: */*\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n"
        ).encode()


@dataclass(slots=True)
class Sample:
    """Seconds from asking to the last byte of each answer; `elapsed_s` of the whole, `bytes` of the last body."""

    seconds: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0
    bytes: int = 0


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    due_s: float
    waits: bool = False
    received: bytearray = field(default_factory=bytearray)


def run(target: Target, path: str, clients: int, seconds: float, pace_s: float | None) -> Sample:
    """Let `clients` ask for `path`; `pace_s` None: again and again. Raises NoAnswer."""
    selector = selectors.DefaultSelector()
    dice = random.Random(f"{path} {clients} {pace_s}")
    began = time.monotonic()
    everybody = []
    for _ in range(clients):
        connection = socket.create_connection((target.host, target.port), ANSWER_WITHIN_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = _Client(connection, began + dice.random() * (pace_s or 0.0))
        selector.register(connection, selectors.EVENT_READ, client)
        everybody.append(client)
    try:
        return _Run(target.request(path), path, seconds, pace_s).loop(selector, everybody)
    finally:
        selector.close()
        for client in everybody:
            client.connection.close()


@dataclass(slots=True)
class _Run:
    request: bytes
    path: str
    seconds: float
    pace_s: float | None
    sample: Sample = field(default_factory=Sample)

    def loop(self, selector: selectors.BaseSelector, clients: Sequence[_Client]) -> Sample:
        """Ask until the time is over, and wait for the last answers."""
        began = time.monotonic()
        end = began + self.seconds
        while True:
            now = time.monotonic()
            if now > end + ANSWER_WITHIN_S:
                raise NoAnswer(f"{self.path}: no answer within {ANSWER_WITHIN_S:g} s")
            for client in clients:
                if not client.waits and client.due_s <= now < end:
                    client.connection.sendall(self.request)
                    client.waits = True
            waiting = any(client.waits for client in clients)
            if now >= end and not waiting:
                break
            due = min((c.due_s for c in clients if not c.waits), default=end)
            for key, _ in selector.select(max(0.0, min(due, end) - now) if now < end else 1.0):
                self._receive(key.data)
        self.sample.elapsed_s = time.monotonic() - began
        return self.sample

    def _receive(self, client: _Client) -> None:
        piece = client.connection.recv(_RECEIVED_AT_ONCE)
        if not piece:
            raise NoAnswer(f"{self.path}: the connection was closed")
        client.received += piece
        body = body_length(client.received)
        if body is None:
            return
        now = time.monotonic()
        if not client.received.startswith(b"HTTP/1.1 200 "):
            raise NoAnswer(f"{self.path}: {bytes(client.received[:600])!r}")
        self.sample.seconds.append(now - client.due_s)
        self.sample.bytes = body
        client.received.clear()
        client.waits = False
        client.due_s = now if self.pace_s is None else client.due_s + self.pace_s


def body_length(received: bytes | bytearray) -> int | None:
    """Length of the body when the answer is complete, None before. Raises NoAnswer when it does not say its length."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    for line in bytes(received[:end]).split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
            return length if len(received) >= end + 4 + length else None
    raise NoAnswer(f"an answer without a length: {bytes(received[:end])!r}")
