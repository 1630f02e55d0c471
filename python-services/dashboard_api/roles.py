"""Which role a view asks for; a view that says nothing asks for `reader`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

READER = "reader"
ADMIN = "admin"

View = TypeVar("View", bound=Callable[..., object])

_ROLES: dict[Callable[..., object], str | None] = {}


def public(view: View) -> View:
    """Mark a view that needs no password."""
    _ROLES[view] = None
    return view


def admin_only(view: View) -> View:
    """Mark a view that needs the role `admin`."""
    _ROLES[view] = ADMIN
    return view


def role_of(view: Callable[..., object] | None) -> str | None:
    """The role needed for `view`; None: no password at all."""
    return READER if view is None else _ROLES.get(view, READER)
