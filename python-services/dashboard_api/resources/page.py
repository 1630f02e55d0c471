"""`/`: the dashboard page, and the files that it is made of. They hold no figures and need no password."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response

from dashboard_api.compression import takes_gzip
from dashboard_api.errors import Problem
from dashboard_api.operations import operation
from dashboard_api.roles import public
from dashboard_api.static_files import StaticFile, StaticFiles, load_static_files

PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Nothing from elsewhere, nothing inline, and no text ever read as HTML."""
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_FOR_EVER = "public, max-age=31536000, immutable"

blueprint = Blueprint("page", __name__)


@blueprint.record
def _routes(state: Any) -> None:
    """Only at the root: a page belongs to no version of the API. The files are read before workers are forked."""
    if state.url_prefix:
        return
    files = load_static_files()
    state.add_url_rule("/", "page", _page_of(files))
    state.add_url_rule("/static/<version>/<path:name>", "static_file", _file_of(files))


def _page_of(files: StaticFiles) -> Callable[[], Response]:
    @public
    @operation("The dashboard page", media="text/html")
    def page() -> Response:
        """Services, alerts and the pipeline, for people; it asks for a user and a password itself."""
        answer = _sent(files.index)
        answer.headers.update(_HEADERS)
        return answer

    return page


def _file_of(files: StaticFiles) -> Callable[[str, str], Response]:
    @public
    @operation("A file of the dashboard page", media="*/*", problems=(404,))
    def static_file(version: str, name: str) -> Response:
        """Kept by browsers for ever: `version` changes whenever any file does."""
        found = files.files.get(name)
        if found is None:
            raise Problem(404, "not-found", "There is no such file.")
        answer = _sent(found)
        # While replicas are replaced one by one, an old page may ask a new replica.
        if version == files.version:
            answer.headers["Cache-Control"] = _FOR_EVER
        return answer

    return static_file


def _sent(file: StaticFile) -> Response:
    zipped = takes_gzip()
    answer = Response(file.gzipped if zipped else file.body, content_type=file.content_type)
    if zipped:
        answer.content_encoding = "gzip"
    answer.vary.add("Accept-Encoding")
    return answer
