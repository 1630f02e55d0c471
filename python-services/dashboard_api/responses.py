"""JSON answers, and the headers that every answer carries."""

from __future__ import annotations

import hashlib

import msgspec
from flask import Request, Response

API_VERSION = "1.0"

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
    return Response(msgspec.json.encode(body), status=status, content_type="application/json")


def finish(response: Response, request: Request) -> Response:
    """Add the common headers; answer 304 when the client has this content already."""
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if response.status_code == 200 and request.method in ("GET", "HEAD"):
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-cache"
            response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
            response.make_conditional(request)
    else:
        response.headers["Cache-Control"] = "no-store"
    return response
