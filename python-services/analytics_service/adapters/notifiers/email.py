"""Email by SMTP to one host that takes it for delivery: 4yz means later, 5yz never."""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
from collections.abc import Sequence
from typing import Final

from analytics_service.adapters.notifiers.deadline import within
from analytics_service.adapters.notifiers.mime import mime_of, split_sender
from analytics_service.adapters.notifiers.smtp import Server, hand_over
from analytics_service.domain.email_message import email_of
from analytics_service.domain.notices import Notice, Outcome
from analytics_service.domain.wording import clean

DEADLINE_S: Final = 10.0
_MOST_SAID: Final = 200
# The first that fits, so the narrower ones come first.
_KINDS: Final = (
    (ssl.SSLCertVerificationError, "its TLS certificate is not trusted"),
    (ssl.SSLError, "TLS failed"),
    (socket.gaierror, "its name cannot be resolved"),
    (ConnectionRefusedError, "connection refused"),
    (TimeoutError, "no answer in time"),
    (smtplib.SMTPServerDisconnected, "the connection broke off"),
    (OSError, "the connection failed"),
)


class EmailSender:
    """Sends notices to fixed recipients. `sender` is an address, alone or as `Name <address>`."""

    name = "email"

    def __init__(
        self,
        server: Server,
        sender: str,
        recipients: Sequence[str],
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)
        self._deadline_s = deadline_s

    def __repr__(self) -> str:
        return f"EmailSender('{self._server.host}:{self._server.port}')"

    def send(self, notice: Notice) -> Outcome:
        """One attempt; raises nothing for what the server or the network does."""
        mime = mime_of(email_of(notice), self._sender, self._recipients, notice.at_s)
        message, address = mime.as_bytes(), split_sender(self._sender)[1]
        try:
            refused = within(
                self._deadline_s,
                lambda deadline: hand_over(
                    self._server, address, self._recipients, message, deadline
                ),
            )
        except smtplib.SMTPResponseException as no:
            return self._said_no(no)
        except TimeoutError:
            return self._failed(f"no answer within {self._deadline_s:g} s")
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return self._failed(self._kind(error))
        # Another attempt would tell those again who have it: whom it did not reach is for people to see.
        detail = f"{self._host()} took it{self._without(refused)}"
        return Outcome("sent", detail, status=250, is_partial=bool(refused))

    def _said_no(self, no: smtplib.SMTPResponseException) -> Outcome:
        code, said = no.smtp_code, no.smtp_error
        is_login = isinstance(no, smtplib.SMTPAuthenticationError)
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        # What is said of a login may be the login.
        words = "to the login" if is_login else clean(self._without_secrets(text), _MOST_SAID)
        detail = f"{self._host()} answered {code} {words}".rstrip()
        return Outcome("refused" if 500 <= code <= 599 else "retry", detail, status=code)

    def _failed(self, words: str) -> Outcome:
        return Outcome("retry", f"{self._host()}: {words}")

    def _kind(self, error: Exception) -> str:
        if isinstance(error, smtplib.SMTPNotSupportedError):
            # Nobody has said no to the message, and a server that is set right takes it: so this is no refusal.
            wanted = "STARTTLS" if self._server.tls == "starttls" else "AUTH"
            return f"it does not offer {wanted}"
        return next(
            (words for kind, words in _KINDS if isinstance(error, kind)),
            f"the attempt failed ({type(error).__name__})",
        )

    def _without(self, refused: Sequence[int]) -> str:
        if not refused:
            return ""
        codes = ", ".join(map(str, sorted(set(refused))))
        return f", but refused {len(refused)} of {len(self._recipients)} recipients ({codes})"

    def _without_secrets(self, text: str) -> str:
        user, password = self._server.user, self._server.password
        if not password:
            return text
        for secret in (f"\0{user}\0{password}", password):
            text = text.replace(base64.b64encode(secret.encode()).decode(), "***")
        return text.replace(password, "***")

    def _host(self) -> str:
        return f"{self._server.host}:{self._server.port}"
