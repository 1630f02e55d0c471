"""The proxy passes everything on until it is told to cut, refuse or hold back."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from devstack.ports import free_port
from tests.faults.proxy import Proxy

PATIENCE_S = 20.0


def echo(connection: socket.socket) -> None:
    """Send back what comes, until the other side ends it."""
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(4096):
            connection.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy before a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        with Proxy(free_port(), server.getsockname()[1]) as made:
            yield made


def connect(proxy: Proxy) -> socket.socket:
    """A client."""
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)


def exchange(client: socket.socket, data: bytes) -> bytes:
    """What comes back for `data`."""
    client.sendall(data)
    back = b""
    while len(back) < len(data):
        part = client.recv(65_536)
        if not part:
            break
        back += part
    return back


def test_everything_passes(proxy: Proxy) -> None:
    data = bytes(range(256)) * 400
    with connect(proxy) as one, connect(proxy) as two:
        assert exchange(one, data) == data
        assert exchange(two, b"two") == b"two"
        assert exchange(one, b"one") == b"one"


@pytest.mark.parametrize("reset", [True, False])
def test_cut_ends_what_is_open_and_new_ones_are_taken(proxy: Proxy, reset: bool) -> None:
    with connect(proxy) as one, connect(proxy) as two:
        assert exchange(one, b"a") + exchange(two, b"b") == b"ab"
        assert proxy.cut(reset=reset) == 2
        for client in (one, two):
            if reset:
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
            else:
                assert client.recv(1) == b""
    with connect(proxy) as three:
        assert exchange(three, b"c") == b"c"
        assert proxy.cut() == 1


def test_refused_until_accepted_again(proxy: Proxy) -> None:
    with connect(proxy) as open_before:
        assert exchange(open_before, b"a") == b"a"
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert exchange(open_before, b"b") == b"b"
        proxy.accept()
        with connect(proxy) as later:
            assert exchange(later, b"c") == b"c"


def test_held_back_and_then_delivered(proxy: Proxy) -> None:
    with connect(proxy) as client:
        assert exchange(client, b"before") == b"before"
        proxy.stall()
        client.sendall(b"held")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(4)
        client.settimeout(PATIENCE_S)
        proxy.resume()
        assert client.recv(4) == b"held"


def test_a_server_that_is_away_shows(proxy: Proxy) -> None:
    proxy.target_port = free_port()
    # The reset comes while the client connects, or when it first reads.
    with pytest.raises(ConnectionResetError), connect(proxy) as client:
        client.recv(1)


def test_cut_in_the_moment_of_an_end(proxy: Proxy) -> None:
    # A connection may be closed already and not forgotten yet: cutting it then is no error.
    for _ in range(200):
        with connect(proxy) as client:
            assert exchange(client, b"a") == b"a"
        proxy.cut()
