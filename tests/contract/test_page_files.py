"""The files of the dashboard page: what they may do, how long they are kept, and that none reads a text as HTML."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from dashboard_api.static_files import DIRECTORY, load_static_files
from tests.api_support import api_app, api_settings

GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    """Without a database: there is nothing to look up."""
    with api_app(api_settings({"DB_HOST": "127.0.0.1", "DB_PORT": "1"})) as app:
        yield FlaskClient(app, app.response_class)


@pytest.fixture(scope="module")
def script(client: FlaskClient) -> str:
    found = re.search(r'"(static/[^"]+/js/app\.js)"', client.get("/").get_data(as_text=True))
    assert found
    return f"/{found[1]}"


def test_the_page_needs_no_password_and_allows_nothing_inline(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert policy[:4] == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
    ]
    assert "require-trusted-types-for 'script'" in policy
    assert not [rule for rule in policy if "unsafe" in rule or "*" in rule or "http" in rule]
    text = answer.get_data(as_text=True)
    assert "{{" not in text
    assert not re.search(r"<script(?! (type=\"module\" )?src=)|<style|\bon\w+=|style=|//", text)


def test_the_page_is_asked_for_again_and_its_files_are_not(
    client: FlaskClient, script: str
) -> None:
    page = client.get("/")
    assert page.headers["Cache-Control"] == "no-cache"
    again = client.get("/", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")
    assert again.headers["Cache-Control"] == "no-cache"
    file = client.get(script)
    assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert file.content_type == "text/javascript; charset=utf-8"
    old = client.get("/static/before/js/app.js")
    assert (old.status_code, old.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize("path", ["/", "script"])
def test_compressed_for_who_takes_it(client: FlaskClient, script: str, path: str) -> None:
    path = script if path == "script" else path
    plain, zipped = client.get(path), client.get(path, headers=GZIP)
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(zipped.get_data()) == plain.get_data()


@pytest.mark.parametrize(
    "path", ["js/nothing.js", "../app.py", "%2e%2e/app.py", "docs/docs.js", "index.html", "js", "/etc/passwd"]
)  # fmt: skip
def test_nothing_else_is_a_file(client: FlaskClient, path: str) -> None:
    assert client.get(f"/static/x/{path}").status_code in (401, 404)


def test_a_change_in_any_file_changes_the_path_of_all(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "index.html").write_text("{{modules}} {{version}}")
    (tmp_path / "js" / "a.js").write_text("1")
    before = load_static_files(tmp_path)
    assert before.index.body.decode() == (
        f'<link rel="modulepreload" href="static/{before.version}/js/a.js"> {before.version}'
    )
    (tmp_path / "js" / "a.js").write_text("2")
    assert load_static_files(tmp_path).version != before.version


def test_no_file_reads_text_as_html() -> None:
    files = [*(DIRECTORY / "js").rglob("*.js")]
    assert len(files) > 20
    for file in files:
        text = file.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, (file, word)


def test_the_index_names_every_module() -> None:
    files = load_static_files()
    text = files.index.body.decode()
    for name in files.files:
        if name.startswith("js/"):
            assert f'modulepreload" href="static/{files.version}/{name}"' in text
