"""Connections on which nothing is said, such as the spare ones of browsers, are in nobody's way."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.api_support import RunningApi, running_api
from tests.databases import Database

# One thread a silent connection, for five seconds each, would keep a client waiting for minutes.
SILENT = 40
END_S = 10.0  # less than a worker grants to those whom it is still answering
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def api(database: Database) -> Iterator[RunningApi]:
    """One worker with two threads."""
    with running_api(database.env, "--workers", "1", "--threads", "2") as running:
        yield running


@pytest.fixture
def silent(api: RunningApi) -> Iterator[list[socket.socket]]:
    """Connections that were made and say nothing."""
    with contextlib.ExitStack() as closing:
        yield [closing.enter_context(connect(api)) for _ in range(SILENT)]


def connect(api: RunningApi) -> socket.socket:
    """A connection of one's own."""
    address = urlsplit(api.url)
    return socket.create_connection((address.hostname, address.port), 20)


def answer(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    received = bytearray()
    while piece := connection.recv(65_536):
        received += piece
    return bytes(received)


def test_a_request_is_answered_while_many_others_say_nothing(
    api: RunningApi, silent: list[socket.socket]
) -> None:
    for _ in range(5):
        assert api.get("/healthz").status_code == 200
    for one in silent:
        one.sendall(REQUEST)
        assert answer(one).startswith(b"HTTP/1.1 200 "), (
            "they are served when they do say something"
        )


def test_one_that_comes_in_pieces_is_answered(api: RunningApi) -> None:
    with connect(api) as connection:
        connection.sendall(REQUEST[:10])
        assert api.get("/healthz").status_code == 200
        connection.sendall(REQUEST[10:])
        assert answer(connection).startswith(b"HTTP/1.1 200 ")


def test_one_that_has_its_answer_and_stays_is_in_nobodys_way(
    api: RunningApi, silent: list[socket.socket]
) -> None:
    """Two seconds each would be more than a minute. Who still sends is heard out, and not cut off from the answer."""
    for one in silent:
        one.sendall(REQUEST + b"x" * 1_000)
    assert api.get("/healthz").status_code == 200
    assert all(answer(one).startswith(b"HTTP/1.1 200 ") for one in silent)
    assert api.get("/healthz").status_code == 200


def test_one_that_goes_away_without_a_word_is_forgotten(api: RunningApi) -> None:
    for _ in range(SILENT):
        connect(api).close()
    assert api.get("/healthz").status_code == 200


def test_they_do_not_keep_the_api_from_ending(api: RunningApi, silent: list[socket.socket]) -> None:
    assert api.get("/healthz").status_code == 200
    api.process.terminate()
    assert api.process.wait(END_S) == 0
    assert [one.recv(1) for one in silent] == [b""] * SILENT
