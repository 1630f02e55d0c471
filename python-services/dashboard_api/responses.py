"""JSON answers, lists as CSV where that is asked for, and the headers that every answer carries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from flask import Request, Response, request

from dashboard_api.tables import csv_text

API_VERSION = "1.0"
CSV = "text/csv"
JSON = "application/json"
NEXT_CURSOR = "X-Next-Cursor"

_SECURITY_HEADERS = {
    "X-API-Version": API_VERSION,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def json_answer(body: object, status: int = 200) -> Response:
    """`body` as JSON; times in UTC end in Z, numbers that are not finite become null."""
    return Response(msgspec.json.encode(body), status=status, content_type=JSON)


def list_answer(
    body: msgspec.Struct, rows: str, row_type: type[msgspec.Struct], *, first: str = ""
) -> Response:
    """`body` as JSON, or its member `rows`, a list of `row_type`, as CSV when that is asked for.

    The cursor of the next page is then in the header X-Next-Cursor; `first` is the first column.
    """
    if not wants_csv():
        answer = json_answer(body)
    else:
        names = [(field.name, field.encode_name) for field in msgspec.structs.fields(row_type)]
        names.sort(key=lambda name: name[0] != first)
        answer = csv_answer(
            [shown for _, shown in names],
            ([getattr(row, name) for name, _ in names] for row in getattr(body, rows)),
        )
        cursor = getattr(body, "next_cursor", None)
        if cursor is not None:
            answer.headers[NEXT_CURSOR] = cursor
    answer.headers["Vary"] = "Accept"
    return answer


def csv_answer(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A table as CSV."""
    return Response(csv_text(columns, rows), content_type=f"{CSV}; charset=utf-8; header=present")


def wants_csv() -> bool:
    """Whether the current request asks for CSV: by `format`, or else by preferring it in Accept."""
    if "format" in request.args:
        return request.args["format"] == "csv"
    return request.accept_mimetypes.best_match([JSON, CSV], default=JSON) == CSV


def moment_text(moment: datetime) -> str:
    """A moment in UTC as in JSON, in milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finish(response: Response, asked: Request) -> Response:
    """Add the common headers; answer 304 when the client has this content already."""
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if response.status_code == 200 and asked.method in ("GET", "HEAD"):
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-cache"
            response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
            response.make_conditional(asked)
    else:
        response.headers["Cache-Control"] = "no-store"
    return response
