"""One SMTP dialogue: connect, secure, log in, hand over. Failures are smtplib's, ssl's and the socket's exceptions."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from analytics_service.adapters.notifiers.deadline import Deadline

_ACCEPTED: Final = (250, 251)
_SHUTTING_DOWN: Final = 421


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail is handed over. `tls`: starttls (required, not merely tried), implicit or none; no user: no login.

    `context` None: the system's certificate authorities are trusted.
    """

    host: str
    port: int
    tls: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    context: ssl.SSLContext | None = field(default=None, repr=False)


def hand_over(
    server: Server, sender: str, recipients: Sequence[str], message: bytes, deadline: Deadline
) -> list[int]:
    """Deliver `message` to those recipients that the server takes; returns its codes for the others.

    Raises SMTPException, OSError or ValueError, also when no recipient is taken; TimeoutError at the deadline.
    """
    smtp = _connect(server, deadline)
    try:
        if server.tls == "starttls":
            _prepare(smtp, deadline)
            smtp.starttls(context=server.context or ssl.create_default_context())
        _prepare(smtp, deadline)
        if server.user:
            _limit(smtp, deadline)
            smtp.login(server.user, server.password)
        refused = _envelope(smtp, sender, recipients, deadline)
        _limit(smtp, deadline)
        code, said = smtp.data(message)
        if code != 250:
            raise smtplib.SMTPDataError(code, said)
        return refused
    finally:
        # Goodbye is said, its answer not waited for: the message has been taken, or has not, already.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            smtp.putcmd("quit")
        smtp.close()


def _connect(server: Server, deadline: Deadline) -> smtplib.SMTP:
    host = socket.gethostname()
    # smtplib itself would look its own name up, which may take longer than everything else.
    me = host if "." in host and host.isascii() else "[127.0.0.1]"
    limit_s = deadline.left_s() + 1.0
    if server.tls == "implicit":
        context = server.context or ssl.create_default_context()
        return smtplib.SMTP_SSL(server.host, server.port, me, timeout=limit_s, context=context)
    return smtplib.SMTP(server.host, server.port, me, timeout=limit_s)


def _prepare(smtp: smtplib.SMTP, deadline: Deadline) -> None:
    _limit(smtp, deadline)
    smtp.ehlo_or_helo_if_needed()
    _limit(smtp, deadline)


def _envelope(
    smtp: smtplib.SMTP, sender: str, recipients: Sequence[str], deadline: Deadline
) -> list[int]:
    _limit(smtp, deadline)
    code, said = smtp.mail(sender)
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, said, sender)
    replies = []
    for recipient in recipients:
        _limit(smtp, deadline)
        code, said = smtp.rcpt(recipient)
        if code == _SHUTTING_DOWN:
            raise smtplib.SMTPResponseException(code, said)
        if code not in _ACCEPTED:
            replies.append((code, said))
    if len(replies) == len(recipients):
        # Those that are only put off decide: one of them may be taken later.
        code, said = min(replies)
        raise smtplib.SMTPResponseException(code, said)
    return [code for code, _ in replies]


def _limit(smtp: smtplib.SMTP, deadline: Deadline) -> None:
    """Let no step outlive the deadline; a second more, so that who waits for the whole is the one to end it."""
    if smtp.sock is None:
        raise smtplib.SMTPServerDisconnected
    smtp.sock.settimeout(deadline.left_s() + 1.0)
