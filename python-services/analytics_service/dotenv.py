"""`.env` files as Docker Compose and a shell both read them: NAME=value, quotes, comments."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"^(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)$")


class DotenvError(ValueError):
    """A line of the file is not NAME=value."""


def read_dotenv(path: Path) -> dict[str, str]:
    """Names and values of the file at `path`.

    Blank lines and lines that begin with `#` are skipped; a value may stand in single or double quotes; an unquoted
    value ends at ` #`. Nothing is expanded. Raises DotenvError naming file and line.
    """
    found: dict[str, str] = {}
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise DotenvError(f"{path.name}, line {number}: expected NAME=value")
        found[match["name"]] = _unquote(match["value"], f"{path.name}, line {number}")
    return found


def _unquote(value: str, where: str) -> str:
    if value[:1] in {'"', "'"}:
        end = value.find(value[0], 1)
        if end < 0:
            raise DotenvError(f"{where}: the quote is never closed")
        return value[1:end]
    return re.split(r"\s+#", value, maxsplit=1)[0].strip()
