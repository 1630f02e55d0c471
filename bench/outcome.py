"""The results file of a bench, alike for all: what, when, on what, and whether every promise was kept."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Line, table


def write(
    file: Path, bench: str, surroundings: Mapping[str, Any], content: Mapping[str, Any], kept: bool
) -> None:
    """Write JSON to `file`, whose directory is made; `surroundings` as `describe` gives them."""
    document = {
        "bench": bench,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **surroundings,
        **content,
        "kept": kept,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def report(
    file: Path,
    bench: str,
    surroundings: Mapping[str, Any],
    content: Mapping[str, Any],
    lines: Sequence[Line],
) -> bool:
    """Write the results with their lines, and print these; whether every promise is kept."""
    kept = all(line.kept for line in lines)
    write(file, bench, surroundings, {**content, "lines": [line.as_json() for line in lines]}, kept)
    print(table(lines))
    return kept
