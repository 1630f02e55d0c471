"""A fresh checkout, a fresh home, and fresh shells: what somebody who deploys sits in front of."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.compose.lab import PATH, ROOT

PROJECT = "stacklens"
VOLUMES = ("postgres-analytics-data", "kafka-analytics-data", "zookeeper-analytics-data")
MORE_VOLUMES = (
    "stacklens-prometheus-data", "stacklens-alertmanager-data", "stacklens-grafana-data",
    "kafka-2-analytics-data", "kafka-3-analytics-data",
)  # fmt: skip
# Not UTC, and half an hour off whole ones: who mixes zones up is found out.
ZONE = "Asia/Kolkata"
FROM_PHASE_4 = ("-f", "docker-compose-phase4.yml")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shell did."""

    status: int
    printed: str
    errors: str

    def __str__(self) -> str:
        return (
            f"exit status {self.status}\n{self.printed[-3000:]}\n--- errors:\n{self.errors[-3000:]}"
        )


@dataclass(frozen=True, slots=True)
class Site:
    """A checkout with its own home; the engine and its volumes are the machine's."""

    checkout: Path
    home: Path

    def shell(self, commands: str, deadline_s: float = 300, program: str = "bash") -> Outcome:
        """Type `commands` into a fresh shell in the checkout. An ordinary environment, no terminal."""
        environment = {
            "HOME": str(self.home), "PATH": PATH, "LANG": "C.UTF-8", "USER": "root", "LOGNAME": "root",
            "TZ": ZONE,
        }  # fmt: skip
        done = subprocess.run(
            [program, "-c", commands],
            cwd=self.checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def right(self, commands: str, deadline_s: float = 300) -> str:
        """The same; what it printed. Raises AssertionError when it failed."""
        outcome = self.shell(commands, deadline_s)
        assert outcome.status == 0, f"{commands}\n{outcome}"
        return outcome.printed

    def number(self, query: str) -> int:
        """A number out of the database; none counts as 0."""
        text = self.right(f'psql -h localhost -U stacklens_user -d stacklens -Atc "{query}"')
        return int(float(text.strip() or 0))

    def containers(self) -> list[dict[str, Any]]:
        """What the engine says about each container of the stack, those that ended too."""
        names = self.right(f"docker ps -aq --filter label=com.docker.compose.project={PROJECT}")
        if not names.split():
            return []
        inspected = self.shell("docker inspect " + " ".join(names.split()))
        # A container that went away in between is not there: the others are told all the same.
        found: list[dict[str, Any]] = json.loads(inspected.printed)
        return found

    def unwell(self) -> list[str]:
        """Containers that do not run, or whose health check does not say healthy."""
        found = []
        for each in self.containers():
            state = each["State"]
            health = state.get("Health", {}).get("Status", "healthy")
            if not state["Running"] or health != "healthy":
                found.append(f"{each['Name'].lstrip('/')}: {state['Status']}, {health}")
        return found

    def password(self) -> str:
        """Of the API's user, as the checklist wrote it down."""
        return (self.home / ".netrc").read_text().split()[-1]

    def remove_stack(self) -> None:
        """Containers, network and volumes of the stack, whatever state they are in."""
        self.shell(
            f"docker ps -aq --filter label=com.docker.compose.project={PROJECT} | xargs -r docker rm -fv;"
            f"docker network rm {PROJECT}_default;"
            f"docker volume rm {' '.join(VOLUMES + MORE_VOLUMES)}"
        )


def make_site(directory: Path) -> Site:
    """Copy the checkout's files (tracked ones, and new ones that are not ignored) into `directory`."""
    site = Site(checkout=directory / "checkout", home=directory / "home")
    site.home.mkdir(mode=0o700)
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # What `make setup` fetches for the page goes along where it is, as it would on a machine with a checkout.
    vendor = [str(p.relative_to(ROOT)) for p in (ROOT / "python-services").rglob("static/vendor/*")]
    for name in [*filter(None, listed.split("\0")), *vendor]:
        source, target = ROOT / name, site.checkout / name
        if not source.exists() and not source.is_symlink():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    return site
