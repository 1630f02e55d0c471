"""Settings of the notification channels: what each takes, and what of them only makes sense together.

A channel with nothing set is off; one that is set by half is a problem, for its silence would be taken for health.
No sentence here repeats a value that may be secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

_FORBIDDEN_IN_URLS = re.compile(r"[\s<>|\"'\\^`{}\x00-\x20\x7f]|[^\x00-\x7f]")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(
    rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*"
)
_NAMED_ADDRESS = re.compile(r"(?P<name>[^<>@\"\x00-\x1f\x7f]*)<(?P<address>[^<>]+)>")


def secret_web_address(value: str) -> str:
    """An http or https URL that is a secret, or nothing. Blanks around it are dropped."""
    value = value.strip()
    if value:
        _split(value)
    return value


def web_address(value: str) -> str:
    """An http or https URL without user, query and fragment, or nothing; no slash at its end."""
    value = value.strip().rstrip("/")
    if value:
        parts = _split(value)
        if parts.query or parts.fragment:
            raise ValueError("must be a URL without '?' and '#'")
    return value


def required_web_address(value: str) -> str:
    """An http or https URL without user, query and fragment."""
    value = web_address(value)
    if not value:
        raise ValueError("must not be empty")
    return value


def secret_token(value: str) -> str:
    """A key of printable ASCII without blanks, or nothing. Blanks around it are dropped."""
    value = value.strip()
    if not re.fullmatch(r"[\x21-\x7e]*", value):
        raise ValueError("must be printable ASCII characters without blanks")
    return value


def ascii_text(value: str) -> str:
    """Printable ASCII, for SMTP's AUTH; or nothing."""
    if not re.fullmatch(r"[\x20-\x7e]*", value):
        raise ValueError("must be printable ASCII characters")
    return value


def mail_host(value: str) -> str:
    """A host name or an IP address, or nothing."""
    if not re.fullmatch(r"[A-Za-z0-9._:-]*", value):
        raise ValueError(f"must be a host name or an IP address, not {value!r}")
    return value


def mail_sender(value: str) -> str:
    """`address@host` or `Name <address@host>`, or nothing."""
    named = _NAMED_ADDRESS.fullmatch(value)
    address = named["address"] if named else value
    if value and not _ADDRESS.fullmatch(address):
        raise ValueError(f"must be an address such as alerts@example.com, not {value!r}")
    return value


def mail_recipients(value: str) -> tuple[str, ...]:
    """Comma separated addresses, each once, in their order; or nothing."""
    addresses = [part.strip() for part in value.split(",")] if value.strip() else []
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise ValueError(
                f"must be addresses such as ops@example.com, separated by commas; {address!r} is not one"
            )
    return tuple(dict.fromkeys(addresses))


def channel_problems(values: Mapping[str, object]) -> list[str]:
    """What is missing to a channel that is set by half; `values` are the parsed settings, broken ones absent."""
    problems = []
    if values.get("smtp_host") and not values.get("alert_email_to", True):
        problems.append("ALERT_EMAIL_TO: must be set when SMTP_HOST is, or nobody gets the mail")
    if values.get("alert_email_to") and not values.get("smtp_host", True):
        problems.append("SMTP_HOST: must be set when ALERT_EMAIL_TO is, or no mail is sent")
    if values.get("smtp_password") and not values.get("smtp_user", True):
        problems.append("SMTP_USER: must be set when SMTP_PASSWORD is")
    if values.get("smtp_user") and not values.get("smtp_password", True):
        problems.append("SMTP_PASSWORD: must be set when SMTP_USER is")
    return problems


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or _FORBIDDEN_IN_URLS.search(url):
        raise ValueError("must be a URL that begins with http:// or https:// and names a host")
    if "@" in parts.netloc:
        raise ValueError("must be a URL without user and password")
    return parts
