"""Who sent the current request, and in which role."""

from __future__ import annotations

from typing import Literal

from flask import g

from analytics_service.passwords import Principal
from dashboard_api.context import actor
from dashboard_api.schemas.overview import Person


def person() -> Person:
    """The user or key of the current request; without log-in somebody who may do anything."""
    return Person(actor(), role())


def role() -> Literal["reader", "admin"]:
    """The role of who asks."""
    found = g.get("flask_httpauth_user")  # where Flask-HTTPAuth keeps whom it let in
    return "reader" if isinstance(found, Principal) and found.role != "admin" else "admin"
