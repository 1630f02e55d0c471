"""Reading query parameters strictly: all that cannot be used is named in one 400."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import msgspec
from werkzeug.datastructures import MultiDict

from analytics_service.domain.times import epoch_us, from_epoch_us, parse_moment
from analytics_service.domain.windows import WINDOWS, Window, window_named
from dashboard_api.errors import invalid_parameters

LONGEST_SERVICE = 255
MOST_SERVICES = 500

_WINDOW_NAMES = tuple(window.name for window in WINDOWS)

T = TypeVar("T")


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


class Parameters:
    """The query of one request. Read all of it, then call `check`."""

    def __init__(self, given: MultiDict[str, str], now: datetime) -> None:
        self._given = given
        self._now = now
        self._allowed: list[str] = []
        self._problems: dict[str, str] = {}

    def window(self, default: str = "1min") -> Window:
        """`window`: the name of a window."""

        def parse(text: str) -> Window:
            if text not in _WINDOW_NAMES:
                raise ValueError(f"must be one of {', '.join(_WINDOW_NAMES)}")
            return window_named(text)

        return self._single("window", parse, window_named(default))

    def moment(self, name: str, default: str | None = None) -> datetime | None:
        """`name`: a moment, see `parse_moment`."""

        def parse(text: str) -> datetime:
            return parse_moment(text, self._now)

        return self._single(name, parse, None if default is None else parse(default))

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """`name`: a whole number from `low` to `high`."""

        def parse(text: str) -> int:
            if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not low <= int(text) <= high:
                raise ValueError(f"must be a whole number from {low} to {high}")
            return int(text)

        return self._single(name, parse, default)

    def services(self, name: str = "service") -> list[str] | None:
        """`name`, repeated or a list with commas: names of services; None when not given.

        A value with commas also stands for itself, since a service's name may hold any character.
        """
        self._allowed.append(name)
        if name not in self._given:
            return None
        found: dict[str, None] = {}
        for value in self._given.getlist(name):
            parts = [part for part in value.split(",") if part]
            if not parts:
                self._problems[name] = "must name a service"
            elif any(len(part) > LONGEST_SERVICE for part in parts):
                self._problems[name] = f"a service has at most {LONGEST_SERVICE} characters"
            found.update(dict.fromkeys(parts))
            if len(value) <= LONGEST_SERVICE:
                found[value] = None
        if len(found) > MOST_SERVICES:
            self._problems[name] = f"must name at most {MOST_SERVICES} services"
        return list(found)

    def cursor(self, window: Window, name: str = "cursor") -> Cursor | None:
        """`name`: the `next_cursor` of an answer about the same window."""

        def parse(text: str) -> Cursor:
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

        return self._single(name, parse, None)

    def refuse(self, name: str, why: str) -> None:
        """Note that `name` cannot be used, unless something was found about it before."""
        self._problems.setdefault(name, why)

    def check(self) -> None:
        """Raise Problem 400 if anything is wrong, unknown parameters included."""
        for name, values in self._given.lists():
            if name not in self._allowed:
                allowed = ", ".join(self._allowed) or "none"
                self._problems[name] = f"is not a parameter here; there are: {allowed}"
            elif any("\0" in value for value in values):
                self._problems[name] = "must not contain a NUL character"
        if self._problems:
            raise invalid_parameters(self._problems)

    def _single(self, name: str, parse: Callable[[str], T], default: T) -> T:
        self._allowed.append(name)
        values = self._given.getlist(name)
        if not values:
            return default
        try:
            if len(values) > 1:
                raise ValueError("must be given once")
            return parse(values[0])
        except ValueError as error:
            self._problems[name] = str(error)
            return default
