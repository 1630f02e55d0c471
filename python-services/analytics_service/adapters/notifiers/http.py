"""One POST of JSON to an address that may be secret: what was answered, or what kind of failure there was.

Exceptions and log records of the libraries below name the whole address, and with a webhook the address is the secret.
So no text of theirs goes any further, and they log nothing.
"""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NameResolutionError

from analytics_service.adapters.notifiers.deadline import Deadline, within

DEADLINE_S: Final = 8.0
MOST_READ: Final = 64 * 1024
_CHUNK: Final = 4096
_LONGEST_RETRY_AFTER_S: Final = 86_400.0

logging.getLogger("urllib3").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is at most its first 64 KB; `retry_after_s` from the header, None without one."""

    status: int
    body: str
    retry_after_s: float | None = None


class Unreachable(Exception):
    """There was no whole answer; the text says what kind of failure it was and names at most the host."""


def host_of(url: str) -> str:
    """Host, and port if there is one, of an address: what may be told of it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "?", parts.port
    except ValueError:
        return "?"
    return host if port is None else f"{host}:{port}"


def post_json(url: str, body: Mapping[str, Any], deadline_s: float = DEADLINE_S) -> Answer:
    """Post `body` once; redirects are not followed. Raises Unreachable, after at most `deadline_s` seconds."""
    payload = json.dumps(body).encode()
    try:
        return within(deadline_s, lambda deadline: _post(url, payload, deadline))
    except TimeoutError:
        failure = f"no answer within {deadline_s:g} s"
    except (requests.RequestException, OSError, ValueError) as error:
        failure = _kind(error)
    # Not within `except`: the exception that names the address is not to travel along as the context of ours.
    raise Unreachable(f"{host_of(url)}: {failure}")


def seconds(text: object) -> float | None:
    """Seconds to wait as another side names them, at most a day; None when that is not what it says."""
    try:
        wait = float(str(text))
    except ValueError:
        return None
    return min(wait, _LONGEST_RETRY_AFTER_S) if wait >= 0 else None


def retry_after_s(header: str | None, date: str | None, now: datetime) -> float | None:
    """Seconds that an answer's `Retry-After` asks to wait, at most a day; None without one, or with nonsense.

    It is a number of seconds or a date. That is told by the other side's clock: `date` is what the answer's `Date`
    says that it shows now; without that it is taken to be `now`.
    """
    if header is None:
        return None
    moment = _moment(header)
    if moment is None:
        return seconds(header)
    return seconds((moment - (_moment(date) or now)).total_seconds())


def _moment(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _post(url: str, payload: bytes, deadline: Deadline) -> Answer:
    with requests.post(
        url,
        data=payload,
        headers={"Content-Type": "application/json", "User-Agent": "stacklens-alert-notifier"},
        # Without this a password for the host in ~/.netrc would be sent along.
        auth=lambda request: request,
        allow_redirects=False,
        stream=True,
        # A second more: who waits for the whole is the one to end it.
        timeout=deadline.left_s() + 1.0,
    ) as response:
        text = b"".join(_read(response, deadline)).decode("utf-8", "replace")
        said = response.headers
        wait_s = retry_after_s(said.get("Retry-After"), said.get("Date"), datetime.now(UTC))
        return Answer(response.status_code, text, wait_s)


def _read(response: requests.Response, deadline: Deadline) -> Iterator[bytes]:
    size = 0
    for chunk in response.iter_content(_CHUNK):
        deadline.left_s()
        size += len(chunk)
        yield chunk
        if size >= MOST_READ:
            return


def _kind(error: BaseException) -> str:
    """What kind of failure it was, without a word of the exception's own."""
    causes = list(_causes(error))
    for kind, words in (
        (ssl.SSLCertVerificationError, "its TLS certificate is not trusted"),
        (ssl.SSLError, "TLS failed"),
        (requests.exceptions.SSLError, "TLS failed"),
        (NameResolutionError, "its name cannot be resolved"),
        (ConnectionRefusedError, "connection refused"),
        (requests.exceptions.ProxyError, "the proxy failed"),
        (requests.exceptions.Timeout, "no answer in time"),
        (requests.exceptions.ChunkedEncodingError, "the answer broke off"),
        (requests.exceptions.ContentDecodingError, "the answer cannot be read"),
        (requests.exceptions.ConnectionError, "the connection failed"),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return words
    return f"the request failed ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and everything it wraps, however it does so; each once."""
    waiting, seen = [error], set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (current.__cause__, current.__context__, getattr(current, "reason", None))
        waiting += [each for each in (*inner, *current.args) if isinstance(each, BaseException)]
