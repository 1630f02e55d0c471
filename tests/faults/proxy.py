"""A TCP proxy on the loopback address whose connections can be cut, refused and held up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

CHUNK = 64 * 1024
# Closing with this set sends a reset instead of a polite end.
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Accepts on `port` and passes everything on to `target_port`; runs in a thread of its own."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self.target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {port}")
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._holding = 0

    @property
    def holding(self) -> int:
        """How many connections have something held back."""
        return self._holding

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._open_gate)
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.refuse()
            self.cut()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def accept(self) -> None:
        """Take connections (again)."""
        self._run(self._listen())

    def refuse(self) -> None:
        """Take no more connections; those that are open stay."""
        self._run(self._stop_listening())

    def cut(self, *, reset: bool = True) -> int:
        """End every open connection, with a reset or politely; how many there were."""
        return self._call(lambda: self._cut(reset))

    def stall(self) -> None:
        """Hold back what is sent either way; nobody is told."""
        self._call(self._flowing.clear)

    def resume(self) -> None:
        """Let it flow again."""
        self._call(self._open_gate)

    def _open_gate(self) -> None:
        self._flowing.set()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:  # the server is away: the client learns it as it would without us
            _reset(writer)
            writer.close()
            return
        both = (writer, target[1])
        self._writers.update(both)
        try:
            await asyncio.gather(self._pass(reader, target[1]), self._pass(target[0], writer))
        finally:
            self._writers.difference_update(both)
            for each in both:
                each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # the other direction meets the same end
            while data := await reader.read(CHUNK):
                self._holding += 1
                try:
                    await self._flowing.wait()
                finally:
                    self._holding -= 1
                writer.write(data)
                await writer.drain()
        writer.close()

    def _cut(self, reset: bool) -> int:
        count = len(self._writers) // 2
        for writer in self._writers:
            if reset:
                _reset(writer)
            writer.transport.abort()
        return count

    def _call(self, function: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def call() -> None:
            try:
                done.set_result(function())
            except Exception as error:  # noqa: BLE001  # raised in the caller's thread
                done.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        return done.result(10)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # it may have been closed a moment ago
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
