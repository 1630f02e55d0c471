"""The files of the page: read once, compressed once, under a path that changes whenever one of them does."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent / "static"
INDEX = "index.html"
PARTS = ("*", "css/**/*", "js/**/*", "vendor/**/*")
_VERSION = "{{version}}"
_MODULES = "{{modules}}"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is sent."""

    content_type: str
    body: bytes
    gzipped: bytes


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """All files by their path below the directory; `version` is a hash of what is in them."""

    version: str
    files: dict[str, StaticFile]
    index: StaticFile


def load_static_files(directory: Path = DIRECTORY) -> StaticFiles:
    """Read every file of the page, and make its index name them."""
    bodies = {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(path for part in PARTS for path in directory.glob(part))
        if path.is_file()
    }
    page = bodies.pop(INDEX).decode()
    version = _hash("".join(f"{name}\n{_hash(body)}\n" for name, body in bodies.items()).encode())
    modules = "\n".join(
        f'<link rel="modulepreload" href="static/{version}/{name}">'
        for name in bodies
        if name.startswith("js/")
    )
    index = page.replace(_MODULES, modules).replace(_VERSION, version)
    files = {name: _file(name, body) for name, body in bodies.items()}
    return StaticFiles(version, files, _file(INDEX, index.encode()))


def _file(name: str, body: bytes) -> StaticFile:
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    content_type = _TYPES.get(Path(name).suffix, guessed)
    return StaticFile(content_type, body, gzip.compress(body, 9, mtime=0))


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
