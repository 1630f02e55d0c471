"""A mail server that takes everything, or says what it is told to say."""

from __future__ import annotations

import asyncio
import email
import socket
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.fakes.records import Listener, Records

DISCONNECT = "disconnect"
HANG = "hang"


@dataclass(frozen=True)
class Mail:
    """One message as it was taken; `at_s` of time.monotonic."""

    at_s: float
    sender: str
    recipients: tuple[str, ...]
    content: bytes
    is_encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        """The message, parsed."""
        return email.message_from_bytes(self.content, policy=policy.default)

    @property
    def summary(self) -> str:
        """One line about it."""
        return f"email to {', '.join(self.recipients)} {str(self.message['Subject'])!r}"

    def as_json(self) -> dict[str, Any]:
        """Everything about it."""
        body = self.message.get_body(("plain",))
        return {
            "kind": "email",
            "sender": self.sender,
            "recipients": list(self.recipients),
            "headers": [[name, str(value)] for name, value in self.message.items()],
            "text": "" if body is None else body.get_content(),
        }


class FakeSmtp:  # pylint: disable=too-many-instance-attributes  # what it does, and what it has seen
    """The server, from entering to leaving; port 0: a free one.

    `tls`: starttls (offered, and needed for a login), implicit or none. `login`: user and password that are asked for.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        tls: str = "starttls",
        login: tuple[str, str] | None = None,
        listener: Listener | None = None,
    ) -> None:
        self.mails: Records[Mail] = Records(listener)
        self.commands: list[str] = []
        self.authority = trustme.CA()
        self._tls = tls
        self._login = login
        self._scripts: dict[str, deque[str | None]] = {}
        self._always: dict[str, str] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server((host, port))
        self._server: asyncio.Server | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-smtp", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def is_implicit(self) -> bool:
        """Whether it speaks TLS from the first byte."""
        return self._tls == "implicit"

    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts this server."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def script(self, command: str, *replies: str | None) -> None:
        """What the next MAIL, RCPT, DATA or the message itself (BODY) are answered; None: as usual.

        A reply is such as `451 4.3.0 later`, or DISCONNECT or HANG.
        """
        with self._lock:
            self._scripts.setdefault(command, deque()).extend(replies)

    def always(self, command: str, reply: str) -> None:
        """What every such command is answered."""
        with self._lock:
            self._always[command] = reply

    def next_reply(self, command: str) -> str | None:
        """What is scripted for a command; None: nothing."""
        with self._lock:
            self.commands.append(command)
            script = self._scripts.get(command)
            return script.popleft() if script else self._always.get(command)

    def wait(self, count: int, deadline_s: float = 10.0) -> list[Mail]:
        """All mails, as soon as there are `count`; AssertionError after `deadline_s` seconds."""
        return self.mails.wait(count, deadline_s)

    @property
    def all(self) -> list[Mail]:
        """All mails so far."""
        return self.mails.all

    def __enter__(self) -> FakeSmtp:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            self._loop.create_server(
                self._protocol, sock=self._socket, ssl=self._context("implicit")
            )
        )
        self._started.set()
        self._loop.run_forever()
        self._server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def _protocol(self) -> SMTP:
        return SMTP(
            _Handler(self),
            hostname="fake.example",
            tls_context=self._context("starttls"),
            authenticator=self._authenticate,
            auth_required=self._login is not None,
            auth_require_tls=self._tls == "starttls",
            loop=self._loop,
        )

    def _context(self, tls: str) -> ssl.SSLContext | None:
        if tls != self._tls:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        return context

    def _authenticate(self, *given: Any) -> AuthResult:
        data = given[-1]
        is_known = isinstance(data, LoginPassword) and self._login == (
            data.login.decode(),
            data.password.decode(),
        )
        return AuthResult(success=is_known, handled=False, auth_data=data)


class _Handler:
    """What aiosmtpd calls, by these names."""

    def __init__(self, fake: FakeSmtp) -> None:
        self._fake = fake

    async def _scripted(self, server: SMTP, command: str) -> str | None:
        reply = self._fake.next_reply(command)
        if reply == HANG:
            await asyncio.Event().wait()
        if reply == DISCONNECT:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            return "421 gone"
        return reply

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """The sender."""
        del session, options
        reply = await self._scripted(server, "MAIL")
        if reply is None:
            envelope.mail_from = address
        return reply or "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A recipient."""
        del session, options
        reply = await self._scripted(server, "RCPT")
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The message itself."""
        reply = await self._scripted(server, "BODY")
        if reply is not None:
            return reply
        content = envelope.content
        assert isinstance(content, bytes)
        data = session.auth_data
        self._fake.mails.add(
            Mail(
                time.monotonic(),
                envelope.mail_from or "",
                tuple(envelope.rcpt_tos),
                content,
                session.ssl is not None or self._fake.is_implicit,
                data.login.decode() if isinstance(data, LoginPassword) else None,
            )
        )
        return "250 OK"
