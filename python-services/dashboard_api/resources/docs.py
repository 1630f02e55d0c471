"""`/openapi.json` and `/docs`: the API's description, and a page to read it.

Both ask for a password, as everything does that tells what there is; a browser that may see the page has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, Response, current_app

from dashboard_api.openapi import describe
from dashboard_api.operations import operation
from dashboard_api.reading import read_nothing
from dashboard_api.responses import JSON

DESCRIPTION = "stacklens-openapi"
FILES = Path(__file__).parent.parent / "static" / "docs"
ASSETS = {"docs.css": "text/css; charset=utf-8", "docs.js": "text/javascript; charset=utf-8"}
# Nothing but this page's own script and style sheet, and the API itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

blueprint = Blueprint("docs", __name__)


@blueprint.get("/openapi.json")
@operation("This description", answer=dict[str, Any])
def openapi() -> Response:
    """OpenAPI 3.1, made from the code that answers."""
    read_nothing()
    body = current_app.extensions.get(DESCRIPTION)
    if body is None:
        body = current_app.extensions[DESCRIPTION] = msgspec.json.encode(describe(current_app))
    return Response(body, content_type=JSON)


@blueprint.get("/docs")
@operation("A page to read it", media="text/html; charset=utf-8")
def docs() -> Response:
    """Every operation with its parameters and types; GETs can be tried out."""
    read_nothing()
    page = Response((FILES / "index.html").read_bytes(), content_type="text/html; charset=utf-8")
    page.headers["Content-Security-Policy"] = POLICY
    return page


@blueprint.get(f"/docs/<any({', '.join(map(repr, ASSETS))}):asset>")
@operation("Parts of the page", media="text/*")
def docs_asset(asset: str) -> Response:
    """Its script and its style sheet."""
    read_nothing()
    return Response((FILES / asset).read_bytes(), content_type=ASSETS[asset])
