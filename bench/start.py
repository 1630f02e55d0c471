"""`python -m bench.start`: from `make demo` to the first window that can be read through the API.

Warm: here, where everything has been downloaded. Cold: in a clone of what is committed, with empty caches for every
tool that downloads, so that what the network does is in the figure.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError, run
from typing import Final

from bench import outcome
from bench.child import Child
from bench.errors import BenchError
from bench.figures import Line, Promise
from bench.progress import Progress
from bench.running import measuring_site, parser_of, run_bench
from bench.site import ROOT

RESULTS: Final = ROOT / "bench" / "results" / "start.json"
READABLE: Final = "first window readable after"
WARM_S: Final = 15.0
COLD_S: Final = 120.0
LONGEST_S: Final = 600.0
NOT_KEPT: Final = ("KAFKA_", "DB_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")
EXAMPLES: Final = """\
examples:
  python -m bench.start                 three times warm, once cold: some 4 minutes
  python -m bench.start --no-cold       nothing is downloaded

exit status: 0 promises kept, 1 a promise missed or the demo failed, 2 usage
"""


@dataclass(frozen=True, slots=True)
class Starts:
    """Seconds until the first window could be read, of each start."""

    warm: list[float]
    cold: list[float]


def start(directory: Path, environment: Mapping[str, str]) -> float:
    """Seconds from `make demo` in a checkout to the first window; the demo then ends by itself."""
    # Tools find their mirrors in the environment; the product is to find nothing there.
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith(NOT_KEPT)}
    environment = {**inherited, "DEMO_SECONDS": "1", **environment}
    with Child("the demo", ["make", "demo"], environment, directory, [READABLE]) as demo:
        at, _ = demo.wait_for(READABLE, LONGEST_S)
        seconds = at - demo.started_at
        status = demo.finish(LONGEST_S)
    if status != 0:
        raise demo.trouble(f"ended with exit status {status}")
    return seconds


def start_cold() -> float:
    """The same in a new clone with caches of its own, which are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="stacklens-cold-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # the database's own user has to get in
        clone = directory / "clone"
        try:
            run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        except (OSError, CalledProcessError) as error:
            raise BenchError(
                f"a cold start needs a git checkout that can be cloned: {error}"
            ) from error
        caches = {
            "STACKLENS_DEVSTACK_CACHE": "servers",
            "PIP_CACHE_DIR": "pip",
            "npm_config_cache": "npm",
            "XDG_CACHE_HOME": "cache",
        }
        return start(clone, {key: str(directory / part) for key, part in caches.items()})


def lines_of(starts: Starts) -> list[Line]:
    """The table."""
    what = "make demo to the first window"
    lines = [Line(f"{what}, warm", starts.warm, "{:.1f} s", Promise("most", WARM_S))]
    if starts.cold:
        lines.append(Line(f"{what}, cold", starts.cold, "{:.1f} s", Promise("most", COLD_S)))
    return lines


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = parser_of("bench.start", __doc__, EXAMPLES, RESULTS)
    parser.add_argument("--warm", type=int, default=3, help="warm starts (%(default)s)")
    parser.add_argument("--no-cold", action="store_true", help="no start that downloads everything")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit status."""
    options = parse(arguments)
    progress = Progress()

    def measure() -> bool:
        with measuring_site() as (_, surroundings):
            pass  # the demo brings a stack of its own; this one says what it is made of
        starts = Starts([], [])
        for number in range(options.warm):
            progress.say(f"warm start {number + 1} of {options.warm}")
            starts.warm.append(start(ROOT, {}))
        if not options.no_cold:
            progress.say("cold start: everything is downloaded")
            starts.cold.append(start_cold())
        content = {"warm_s": starts.warm, "cold_s": starts.cold}
        return outcome.report(options.output, "start", surroundings, content, lines_of(starts))

    return run_bench(measure, options.output, progress)


if __name__ == "__main__":
    raise SystemExit(main())
