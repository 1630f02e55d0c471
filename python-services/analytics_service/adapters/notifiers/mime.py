"""An email as the bytes that are sent: MIME, encoded headers, threads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import Policy

from analytics_service.domain.email_message import Email


class _Identifiers(UnstructuredHeader, BaseHeader):
    """Message ids, one a line. The standard library would encode one that is longer than a line, and so break it."""

    def fold(self, *, policy: Policy) -> str:  # pylint: disable=redefined-outer-name
        """The header as lines."""
        ids = (policy.linesep + " ").join(str(self).split())
        return f"{self.name}: {ids}{policy.linesep}"


_headers = HeaderRegistry()
for _name in ("message-id", "in-reply-to", "references"):
    _headers.map_to_type(_name, _Identifiers)
POLICY = policy.SMTP.clone(header_factory=_headers)


def split_sender(sender: str) -> tuple[str, str]:
    """Name and address of `Name <address>`, or no name and the address of what is one alone."""
    if not sender.endswith(">"):
        return "", sender
    # The standard library would take a comma in the name for the end of an address.
    name, _, address = sender[:-1].rpartition("<")
    return name.strip(), address.strip()


def mime_of(email: Email, sender: str, recipients: Sequence[str], at_s: float) -> EmailMessage:
    """The message, dated `at_s` (epoch seconds); sent again it is the same to the byte but for the MIME boundary.

    `sender` is an address, alone or as `Name <address>`. Line breaks cannot get into a header: raises ValueError.
    """
    name, address = split_sender(sender)
    host = address.rpartition("@")[2]
    message = EmailMessage(POLICY)
    message["From"] = Address(name, addr_spec=address)
    message["To"] = [Address(addr_spec=recipient) for recipient in recipients]
    # Encoded words that come with a name would be decoded, line breaks and all.
    message["Subject"] = email.subject.replace("=?", "= ?")
    message["Date"] = datetime.fromtimestamp(int(at_s), UTC)
    message["Message-ID"] = f"<{email.message_id}@{host}>"
    threads = " ".join(f"<{thread}@{host}>" for thread in email.thread_ids)
    if threads:
        message["In-Reply-To"] = threads
        message["References"] = threads
    # Robots that answer mail leave this alone.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(email.text, cte="quoted-printable")
    message.add_alternative(email.html, subtype="html", cte="quoted-printable")
    return message
