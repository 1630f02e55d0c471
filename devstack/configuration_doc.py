"""Writes docs/configuration.md from the declarations of the settings: `python -m devstack.configuration_doc`."""

from __future__ import annotations

import sys
from pathlib import Path

from analytics_service.options import OPTIONS, Option

TARGET = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"

HEAD = """# Configuration

Every setting is an environment variable; the environment wins over a `.env` file in the working
directory. All of them are read once and checked at start, and every problem is listed at once.
Secrets are masked in the log. `make docs` writes this page from `analytics_service/options.py`.

In production (`APP_ENV=production`) the processes refuse to start with a missing, default or short
password (under 12 characters), without users, with authentication switched off, or at log level
DEBUG.

| setting | default | what it is |
|---|---|---|
"""


def page() -> str:
    """The whole page as Markdown."""
    return HEAD + "".join(_row(option) for option in OPTIONS)


def _row(option: Option) -> str:
    names = ", ".join(f"`{name}`" for name in (option.name, *option.aliases))
    default = f"`{option.default}`" if option.default else ""
    if option.name == "SQL_DIR":
        default = "the installation's own"
    doc = option.doc + (" Secret." if option.secret else "")
    return f"| {names} | {default} | {doc} |\n"


def main() -> int:
    """Write the page; with --check only compare, exit status 1 when it differs."""
    if "--check" in sys.argv[1:]:
        return 0 if TARGET.read_text(encoding="utf-8") == page() else 1
    TARGET.write_text(page(), encoding="utf-8")
    print(f"wrote {TARGET.name}: {len(OPTIONS)} settings")
    return 0


if __name__ == "__main__":
    sys.exit(main())
