"""PostgreSQL and TimescaleDB from Debian's packages, unpacked privately: nothing is installed.

apt-get does the finding, the downloading and the checking of signatures, with its own state
directory and its own idea of what is installed, so that no root is needed and the machine's
package database is not touched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devstack.errors import DevstackError, NotHereError

SUITE = "trixie"
PACKAGES = ("postgresql-17-timescaledb", "postgresql-17", "postgresql-client-17", "patchelf")
MIRROR_VARIABLE = "STACKLENS_DEBIAN_MIRROR"
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
# Depended on, but of no use to a private server (just-in-time compiler, Debian's own scripts,
# installed locales): said to be installed, they stay away, and half of the download with them.
NOT_NEEDED = (
    *("libllvm19", "postgresql-common", "postgresql-client-common", "postgresql-common-dev"),
    *("ssl-cert", "perl", "locales", "adduser", "debconf", "libpam-modules", "openssl"),
    *("netbase", "procps", "ucf", "tzdata"),
)

CONFIGURATION = """\
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Dir::State "{work}/state";
Dir::State::status "{work}/status";
Dir::Cache "{work}/cache";
Dir::Log "{work}/log";
Dir::Etc::SourceList "{work}/sources.list";
Dir::Etc::SourceParts "{work}/none.d";
Dir::Etc::Preferences "{work}/none";
Dir::Etc::PreferencesParts "{work}/none.d";
"""


def require_apt() -> None:
    """Say at once, and say what else there is, where Debian's tools are missing."""
    missing = [tool for tool in ("apt-get", "dpkg", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise NotHereError(
            f"there is no {missing[0]} here, and the embedded database is unpacked from Debian's "
            "packages: the embedded stack needs Debian or a relative of it"
        )
    if not Path("/usr/share/zoneinfo/UTC").exists():
        raise DevstackError(
            "the time zones are missing (PostgreSQL reads /usr/share/zoneinfo): "
            "apt-get install -y tzdata"
        )


def fetch_packages(
    work: Path,
    suite: str = SUITE,
    packages: Sequence[str] = PACKAGES,
    not_needed: Sequence[str] = NOT_NEEDED,
) -> list[Path]:
    """Download the packages and what they need under `work`; return the .deb files.

    What is `not_needed` stays away although something depends on it.
    """
    for directory in ("state/lists/partial", "cache/archives/partial", "none.d", "log"):
        (work / directory).mkdir(parents=True, exist_ok=True)
    architecture = _output(["dpkg", "--print-architecture"]).strip()
    (work / "status").write_text("\n".join(_claims(architecture, not_needed)))
    (work / "apt.conf").write_text(CONFIGURATION.format(architecture=architecture, work=work))
    failures = []
    for mirror in _mirrors():
        keyring = next((f"[signed-by={ring}] " for ring in KEYRINGS if ring.exists()), "")
        (work / "sources.list").write_text(f"deb {keyring}{mirror} {suite} main\n")
        for command in (["update", "--error-on=any"], ["install", "--download-only", *packages]):
            done = _apt_get(work, *command)
            if done.returncode != 0:
                failures.append(f"{mirror}: {_complaint(done)}")
                break
        else:
            return sorted((work / "cache" / "archives").glob("*.deb"))
    if not failures:
        raise NotHereError(
            "this machine's apt has no Debian archive among its sources: name one with "
            f"{MIRROR_VARIABLE}=http://... (its keys: apt-get install -y debian-archive-keyring)"
        )
    raise NotHereError(
        f"Debian {suite}'s packages could not be downloaded (is there a network?):\n  "
        + "\n  ".join(failures)
    )


def fetch_source(work: Path, suite: str, package: str) -> Path:
    """Download a source package from where `fetch_packages` took the others; its original archive.

    apt-get checks signature and checksums. Raises NotHereError when it cannot be had.
    """
    sources = work / "sources.list"
    options_and_mirror = sources.read_text().removeprefix("deb ").rsplit(" ", 2)[0]
    sources.write_text(f"deb-src {options_and_mirror} {suite} main\n")
    directory = work / "source"
    directory.mkdir()
    fetch = ["source", "--download-only", package]
    for command in (["update", "--error-on=any"], fetch):
        done = _apt_get(work, *command, directory=directory)
        if done.returncode != 0:
            raise NotHereError(
                f"Debian {suite}'s source of {package} could not be downloaded: {_complaint(done)}"
            )
    return next(directory.glob("*.orig.tar.*"))


def unpack(packages: list[Path], prefix: Path) -> None:
    """Unpack the packages below `prefix` and make their programs use the libraries there."""
    prefix.mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda package: _output(["dpkg-deb", "-x", package, prefix]), packages))
    # Before trixie the C library's package put its files under /lib, not /usr/lib.
    loaders = (
        found for top in ("usr/lib*", "lib*") for found in prefix.glob(f"{top}/**/ld-linux*.so.*")
    )
    loader = min(loaders, default=None)
    if loader is None:
        raise DevstackError("the unpacked packages hold no program loader")
    libraries = [
        path
        for top in ("usr/lib", "lib")
        for path in prefix.glob(f"{top}/*-linux-gnu*")
        if path.is_dir()
    ]
    search = ":".join(map(str, libraries))
    for program in sorted(prefix.glob("usr/lib/postgresql/*/bin/*")):
        with program.open("rb") as opened:
            if opened.read(4) != b"\x7fELF":
                continue
        # The program's own DT_RPATH (not RUNPATH) is inherited by the libraries it loads.
        command: list[str | Path] = [
            loader,
            "--library-path",
            search,
            prefix / "usr/bin/patchelf",
            program,
        ]
        change: list[str | Path] = [
            "--set-interpreter",
            loader,
            "--force-rpath",
            "--set-rpath",
            search,
        ]
        _output([*command, *change])


def _mirrors() -> Iterator[str]:
    """The archives to try: the one named, else those that the machine's own apt uses."""
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        yield named
        return
    # The origin is known once the machine has run `apt-get update`; before that, try each.
    form = "$(REPO_URI)|$(ORIGIN)|$(LABEL)"
    listing = _output(
        ["apt-get", "indextargets", "--no-release-info", "--format", form, "Created-By: Packages"]
    )
    known = _output(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    first = [line.split("|")[0] for line in known.splitlines() if line.endswith("|Debian|Debian")]
    others = [line.split("|")[0] for line in listing.splitlines() if "security" not in line]
    foreign = {
        line.split("|")[0]
        for line in known.splitlines()
        if not line.endswith("|Debian|Debian") and "|$(" not in line
    }
    yield from dict.fromkeys([*first, *(uri for uri in others if uri not in foreign)])


def _claims(architecture: str, not_needed: Sequence[str]) -> Iterator[str]:
    for name in not_needed:
        yield (
            f"Package: {name}\nStatus: install ok installed\nArchitecture: {architecture}\n"
            f"Multi-Arch: foreign\nVersion: 9:999\nMaintainer: nobody\nDescription: not needed\n"
        )


def _apt_get(
    work: Path, *arguments: str, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", "-c", str(work / "apt.conf"), *arguments],
        cwd=directory,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if re.match(r"^(E|Err|W):", line)]
    return " / ".join(lines[:3]) or done.stderr.strip()[-300:] or f"status {done.returncode}"


def _output(command: Sequence[str | Path]) -> str:
    done = subprocess.run(
        [str(each) for each in command],
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DevstackError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
