"""How paths are matched."""

from __future__ import annotations

import re
from urllib.parse import quote

from flask import Flask, Request, request
from werkzeug.routing import BaseConverter

VERSION_PREFIX = "/v1"
"""Every path is also there under it."""
UNKNOWN_ROUTE = "other"

NUMBER = f"int(min=1, max={2**63 - 1})"
"""The converter of a row's number; nothing else is found under such a path."""


class Anything(BaseConverter):
    """The rest of the path, whatever is in it: slashes at any place, percent signs, line ends; no NUL, which no table
    can hold."""

    regex = r"[^\x00]+"
    part_isolating = False


def prepare_paths(app: Flask) -> None:
    """Let `app` match a path with or without a slash at its end, and `<anything:name>`. Before any route is added."""
    app.url_map.strict_slashes = False
    app.url_map.converters["anything"] = Anything


def location_below(name: object) -> str:
    """The path of something that was made by asking the current path for it, for the header Location."""
    return f"{request.script_root}{request.path.rstrip('/')}/{quote(str(name), safe='')}"


def routes_of(app: Flask) -> list[str]:
    """The templates of the application's paths, each once whatever its version, and that of all others."""
    return [*sorted({template_of(rule.rule) for rule in app.url_map.iter_rules()}), UNKNOWN_ROUTE]


def route_of(asked: Request) -> str:
    """The template of a request's path, without its version."""
    return UNKNOWN_ROUTE if asked.url_rule is None else template_of(asked.url_rule.rule)


def template_of(rule: str) -> str:
    """A route as the description shows it: `/alerts/{alert_id}`, without its version."""
    return re.sub(r"<(?:[^:>]*:)?([^>]*)>", r"{\1}", rule.removeprefix(VERSION_PREFIX)) or "/"
