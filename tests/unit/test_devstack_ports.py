"""Ports for servers that are not there yet."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from devstack import ports
from devstack.errors import DevstackError

ROOT = Path(__file__).parents[2]
FEW = 5


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> range:
    """A handful of ports in a row that are free; what is given away is given back after the test."""
    monkeypatch.setattr(ports, "_held", {})
    first = next(
        first
        for first in range(ports.FIRST, ports.LAST, FEW)
        if all(_is_free(port) for port in range(first, first + FEW))
    )
    monkeypatch.setattr(ports, "FIRST", first)
    monkeypatch.setattr(ports, "LAST", first + FEW - 1)
    monkeypatch.setattr(ports, "TRIES", 500)
    return range(first, first + FEW)


def _is_free(port: int) -> bool:
    with (
        socket.socket() as probe,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as name,
    ):
        try:
            probe.bind(("127.0.0.1", port))
            name.bind(f"\0stacklens-port-{port}")
        except OSError:
            return False
    return True


def test_no_port_is_given_twice(few: range) -> None:
    assert sorted(ports.free_port() for _ in few) == list(few)
    with pytest.raises(DevstackError, match="no free port"):
        ports.free_port()


def test_a_port_that_is_listened_on_is_left_out(few: range) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", few[0]))
        server.listen()
        assert ports.listening(few[0])
        assert sorted(ports.free_port() for _ in few[1:]) == list(few[1:])
    assert not ports.listening(few[0])


def test_another_process_s_port_is_left_out_while_it_lives(few: range) -> None:
    program = (
        "import sys; from devstack import ports; ports.FIRST, ports.LAST = int(sys.argv[1]), int(sys.argv[2]);"
        "print(ports.free_port(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(few[0]), str(few[-1])],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        theirs = int(other.stdout.readline())
        ours = [ports.free_port() for _ in few[1:]]
        assert sorted([*ours, theirs]) == list(few)
        other.stdin.close()
    assert ports.free_port() == theirs
