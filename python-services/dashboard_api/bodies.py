"""Reading JSON bodies strictly: every member that cannot be used is named in one 400."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from dashboard_api.errors import Problem, invalid_parameters

T = TypeVar("T", bound=msgspec.Struct)
Check = Callable[[Mapping[str, Any]], dict[str, str]]


def nothing_more(_plain: Mapping[str, Any]) -> dict[str, str]:
    """The check of a body of which its type says everything."""
    return {}


def read_members(kind: type[T], check: Check = nothing_more) -> T:
    """The JSON object in the body of the current request as `kind`; an empty body is one without members.

    `check` sees it as plain data and tells what is wrong with its members by name, in better words than a type
    can. Raises Problem 415 unless the body is declared as JSON (a DELETE may have none), 413 when it is too long, and
    400 naming each member that is missing, unknown, or cannot be used.
    """
    plain = _plain_body()
    problems = check(plain)
    found = _members(kind, plain, "", problems)
    if found is None:
        raise invalid_parameters(problems)
    return found


def _plain_body() -> dict[str, Any]:
    data = request.get_data()
    if request.content_length is None and len(data) >= (
        request.max_content_length or len(data) + 1
    ):
        # Sent in pieces: whatever came after the limit was left unread.
        raise RequestEntityTooLarge
    if not data and request.method == "DELETE":
        return {}
    if request.mimetype != "application/json":
        raise Problem(
            415,
            "unsupported-media-type",
            "The body must be sent as Content-Type: application/json.",
        )
    try:
        plain = msgspec.json.decode(data) if data else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "invalid-body", "The body is not valid JSON.") from None
    if not isinstance(plain, dict):
        raise invalid_parameters({"body": "must be a JSON object"})
    return plain


def _members(
    kind: type[T], plain: Mapping[str, Any], prefix: str, problems: dict[str, str]
) -> T | None:
    """The members as `kind`; None after adding to `problems`."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for name in sorted(plain.keys() - fields.keys()):
        problems.setdefault(prefix + name, f"is not a member here; there are: {', '.join(fields)}")
    for name, field in fields.items():
        if name not in plain:
            if field.required:
                problems.setdefault(prefix + name, "is missing")
        elif isinstance(plain[name], dict) and _is_struct(field.type):
            values[field.name] = _members(field.type, plain[name], f"{prefix}{name}.", problems)
        else:
            try:
                values[field.name] = msgspec.convert(plain[name], field.type)
            except msgspec.ValidationError as error:
                problems.setdefault(prefix + name, _words(str(error)))
    return None if problems else kind(**values)


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _words(message: str) -> str:
    """msgspec's sentence, `Expected `int`, got `str``, as one about the member."""
    return message.replace("Expected ", "must be ").replace(", got ", ", not ")
