"""The engine and the stand-in images that the stack runs on here, made by the compose lab."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("up-engine", "build-images", "down-engine")
# Program of the checklist: Debian's package that has it.
PROGRAMS = {
    "psql": "postgresql-client",
    "jq": "jq",
    "curl": "curl",
    "ab": "apache2-utils",
    "openssl": "openssl",
    "ip": "iproute2",
    "iptables": "iptables",
    "git": "git",
}
# Of an ordinary shell, and of cron; nothing of this checkout's .venv.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LabMissing(Exception):
    """Why the stack cannot be run on this machine."""


def find_lab() -> Path:
    """The lab's directory: COMPOSE_LAB, or shared/compose-lab beside the checkout."""
    named = os.environ.get("COMPOSE_LAB")
    lab = Path(named) if named else ROOT.parent / "shared" / "compose-lab"
    missing = [name for name in COMMANDS if not os.access(lab / name, os.X_OK)]
    if missing:
        raise LabMissing(
            f"no compose lab at {lab} ({', '.join(missing)} missing): name its directory in COMPOSE_LAB"
        )
    if os.geteuid() != 0:
        raise LabMissing("the compose lab starts a Docker engine: run this as root")
    return lab.resolve()


def install_programs() -> None:
    """The checklist's programs on this machine. Raises LabMissing naming those that cannot be had."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    has_kafka = _ends_well(["/usr/bin/python3", "-c", "import kafka"])
    if not missing and has_kafka:
        return
    packages = sorted({PROGRAMS[name] for name in missing} | {"python3-kafka"})
    environment = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages],
    ):
        outcome = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if outcome.returncode:
            raise LabMissing(f"install {', '.join(packages)}: {outcome.stderr.strip()[-300:]}")


def engine_answers() -> bool:
    """Whether a Docker engine runs already."""
    return shutil.which("docker", path=PATH) is not None and _ends_well(["docker", "version"])


def run_lab(lab: Path, command: str) -> None:
    """One of the lab's commands. Raises LabMissing with the end of what it said."""
    outcome = subprocess.run([lab / command], capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise LabMissing(f"{lab / command} failed: {outcome.stderr.strip()[-600:]}")


def _ends_well(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
