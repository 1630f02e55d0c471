"""`python -m bench.promises`: one table of what `make bench` measures and something is promised about.

Nothing is measured here: the files are those that its parts have written last, and when that was is said. What has no
file was not measured and is not kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.figures import Line, Promise, table
from bench.site import ROOT

RESULTS: Final = ROOT / "bench" / "results"
BENCHES: Final = ("end_to_end", "peers", "scale", "api", "alerts", "start")
EXAMPLES: Final = """\
examples:
  python -m bench.promises              after `make bench`

exit status: 0 every promise kept, 1 one is not or was not measured, 2 usage
"""


def promised(content: dict[str, Any]) -> Iterator[Line]:
    """The lines of a results file with a promise; what is indented there begins with what it belongs to."""
    above = ""
    for line in content["lines"]:
        what = str(line["what"])
        if what.startswith(" "):
            what = f"{above}: {what.strip()}"
        else:
            above = what.split(":")[0]
        if line["promise"] is not None:
            promise = Promise(line["promise"]["kind"], line["promise"]["limit"])
            form = line["form"]
            yield Line(what, line["rounds"], form, promise, line["of_rounds"] == "largest")


def read(directory: Path, bench: str) -> dict[str, Any]:
    """A results file. Raises BenchError when there is none, or one that says something else."""
    file = directory / f"{bench}.json"
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        list(promised(content))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{bench} was not measured: {file} cannot be read ({error!r})") from error
    return content


def main(arguments: list[str] | None = None) -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.promises",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory (%(default)s)")
    options = parser.parse_args(arguments)
    lines: list[Line] = []
    measured, missing = [], []
    for bench in BENCHES:
        try:
            content = read(options.results, bench)
        except BenchError as error:
            missing.append(str(error))
        else:
            lines += promised(content)
            measured.append(f"{bench} {content['at']}")
    print(table(lines))
    print("measured: " + ", ".join(measured))
    for trouble in missing:
        print(trouble)
    return 0 if not missing and all(line.kept for line in lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
