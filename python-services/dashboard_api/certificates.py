"""When a certificate ends, read from its PEM file: a little of DER, for the standard library reads none from a file."""

from __future__ import annotations

import base64
import logging
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

LARGEST_FILE = 1024 * 1024
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_DIGITS = {_UTC_TIME: 12, _GENERALIZED_TIME: 14}
# RFC 5280: two digits from 50 on are of the last century.
_PIVOT = 50

_log = logging.getLogger(__name__)


class CertificateError(ValueError):
    """The file holds no certificate that can be understood; the message says why."""


def certificate_end(pem: bytes) -> datetime:
    """When the first of the certificates of a PEM file to end does so: its chain is good no longer than that.

    Raises CertificateError.
    """
    blocks = _BLOCK.findall(pem)
    if not blocks:
        raise CertificateError("holds no certificate in PEM")
    try:
        return min(
            _end(base64.b64decode(b"".join(block.split()), validate=True)) for block in blocks
        )
    except (ValueError, IndexError) as error:
        raise CertificateError(f"holds a certificate that cannot be read: {error}") from error


class CertificateCollector(Collector):
    """What Prometheus reads about the certificate file; read anew each time, so that a new one is seen at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = ""

    def collect(self) -> Iterator[Metric]:
        """When it ends, if there is one, and whether there is one that cannot be read."""
        ends = GaugeMetricFamily(
            "stacklens_certificate_expires_timestamp_seconds",
            "When the first certificate in API_CERTIFICATE_FILE ends; absent: there is none, or it cannot be read.",
        )
        problem = ""
        try:
            end = _read(self._path)
        except (OSError, CertificateError) as error:
            problem = getattr(error, "strerror", None) or str(error)
        else:
            if end is not None:
                ends.add_metric([], end.timestamp())
        self._tell(problem)
        yield ends
        yield GaugeMetricFamily(
            "stacklens_certificate_unreadable",
            "1 while API_CERTIFICATE_FILE is there and its end cannot be read.",
            float(bool(problem)),
        )

    def _tell(self, problem: str) -> None:
        """Once, not at every scrape."""
        if problem and problem != self._told:
            _log.error("certificate %s: %s; nobody is warned before it ends", self._path, problem)
        elif self._told and not problem:
            _log.info("certificate %s is well again", self._path)
        self._told = problem


def _read(path: Path) -> datetime | None:
    """When the certificate ends; None where there is no file. A link to nowhere is somebody's mistake: OSError."""
    if not os.path.lexists(path):
        return None
    with path.open("rb") as file:
        return certificate_end(file.read(LARGEST_FILE))


def _end(der: bytes) -> datetime:
    """Certificate -> tbsCertificate -> validity -> notAfter, by RFC 5280."""
    certificate = _only(der, 0, _SEQUENCE)
    at, limit = _only(der, certificate[0], _SEQUENCE)
    tag, start, end = _element(der, at)
    if tag == _VERSION:
        _, _, end = _element(der, end)  # the serial number
    for _ in ("signature", "issuer"):
        _, _, end = _element(der, end)
    at, limit = _only(der, end, _SEQUENCE)
    _, _, end = _element(der, at)  # notBefore
    tag, start, end = _element(der, end)
    if end != limit:
        raise CertificateError("its validity is no pair of times")
    return _time(tag, der[start:end])


def _only(der: bytes, at: int, wanted: int) -> tuple[int, int]:
    """Where the content of an element begins and ends, which has to be of a certain kind."""
    tag, start, end = _element(der, at)
    if tag != wanted:
        raise CertificateError(f"kind {tag:#04x} at byte {at}, where {wanted:#04x} is due")
    return start, end


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag of the element at a place, and where its content begins and ends."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    if start + length > len(der):
        raise CertificateError("it is cut short")
    return tag, start, start + length


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii", "replace")
    digits = _DIGITS.get(tag)
    if digits is None or not re.fullmatch(rf"[0-9]{{{digits}}}Z", text):
        raise CertificateError(f"{text!r} is no time of a certificate")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _PIVOT else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
