"""Reports of commands: a JSON file for programs, an aligned table for people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click


def write_json(path: Path, report: Mapping[str, object]) -> None:
    """Write `report` to `path` at once: a reader sees the old file or the whole new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns aligned to the left, header first."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """The text without characters that would move the cursor or colour the terminal of whoever looks at it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
