"""`python -m grafana`: write the dashboards that Grafana is provisioned with."""

from __future__ import annotations

import json
from pathlib import Path

from grafana.alerts import ALERTS
from grafana.health import HEALTH
from grafana.overview import OVERVIEW

DIRECTORY = Path(__file__).resolve().parent / "dashboards"
DASHBOARDS = (OVERVIEW, HEALTH, ALERTS)


def files() -> dict[str, str]:
    """File name -> text, of every dashboard."""
    return {
        each.file_name: json.dumps(each.json(), indent=2, ensure_ascii=False) + "\n"
        for each in DASHBOARDS
    }


def main() -> None:
    """Write them all."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, text in files().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
