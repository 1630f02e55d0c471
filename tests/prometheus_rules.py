"""What prometheus/ holds, read as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = ROOT / "prometheus"
RULE_FILES = sorted((DIRECTORY / "rules").glob("*.yml"))
TEST_FILES = sorted((DIRECTORY / "tests").glob("*.yml"))


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    """Every rule of every file."""
    return [
        rule for path in RULE_FILES for group in load(path)["groups"] for rule in group["rules"]
    ]


def alerts() -> dict[str, dict[str, Any]]:
    """Alert name -> its rule."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def records() -> dict[str, str]:
    """Name of a recorded figure -> its expression."""
    return {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
