"""Where a page of rows ended, as an opaque text."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

import msgspec

from analytics_service.domain.times import epoch_us, from_epoch_us
from analytics_service.domain.windows import Window


class Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a page of rows ended: after the row of `service` at `timestamp_us` in `window`."""

    window: str
    timestamp_us: int
    service: str

    def encode(self) -> str:
        """The opaque text that clients hand back."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @property
    def timestamp(self) -> datetime:
        """Start of the row's window."""
        return from_epoch_us(self.timestamp_us)


def parse_cursor(text: str, window: Window) -> Cursor:
    """The cursor that `text` encodes. Raises ValueError when it is none, or belongs to another window."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=Cursor)
        epoch_us(found.timestamp)
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError, OverflowError):
        raise ValueError("must be the next_cursor of an earlier answer") from None
    if "\0" in found.service:
        raise ValueError("must be the next_cursor of an earlier answer")
    if found.window != window.name:
        raise ValueError(f"belongs to window {found.window!r}, not {window.name!r}")
    return found
