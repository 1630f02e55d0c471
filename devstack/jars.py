"""Kafka's jars: the exact list with its checksums is in kafka_jars.lock, fetched through jgo."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import Artifact, MavenContext, PythonResolver

from devstack.errors import NotHereError

LOCK = Path(__file__).with_name("kafka_jars.lock")
ENDPOINTS = ("org.apache.kafka:kafka_2.13:4.1.1", "org.slf4j:slf4j-simple:1.7.36")
CERTIFICATES = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/cert.pem"))
ATTEMPTS = 3
DOWNLOADS_AT_ONCE = 8


def fetch_jars(target: Path) -> None:
    """Download every jar of the lock into `target`, checked against its SHA-256."""
    target.mkdir(parents=True)
    repository = target.parent / "download"
    context = MavenContext(resolver=PythonResolver(), repo_cache=repository, timeout=60)
    locked = [line.split(" sha256:") for line in LOCK.read_text().splitlines()]

    def fetch(entry: list[str]) -> None:
        coordinate, digest = entry
        group, name, version = coordinate.split(":")
        artifact = context.project(group, name).at_version(version).artifact()
        shutil.move(_download(artifact, digest), target)

    with _machines_certificates(), ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        list(pool.map(fetch, locked))
    shutil.rmtree(repository)


@contextlib.contextmanager
def _machines_certificates() -> Iterator[None]:
    """Trust whom the machine trusts: behind a company's proxy that is more than certifi knows."""
    bundle = next((path for path in CERTIFICATES if path.exists()), None)
    if bundle is None or {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} & set(os.environ):
        yield
        return
    # The variable is the only way in: jgo calls `requests` without a session of ours.
    os.environ["REQUESTS_CA_BUNDLE"] = str(bundle)
    try:
        yield
    finally:
        del os.environ["REQUESTS_CA_BUNDLE"]


def _download(artifact: Artifact, digest: str) -> Path:
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            path = Path(artifact.resolve())
        except (OSError, RuntimeError) as error:
            reason = type(error).__name__
        else:
            if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                return path
            reason = "what came is not what kafka_jars.lock expects (SHA-256)"
        if artifact.cached_path is not None:
            artifact.cached_path.unlink(missing_ok=True)
    raise NotHereError(
        f"Kafka's {artifact} could not be downloaded from Maven Central ({reason}): "
        "is there a network?"
    )


def lock_lines(endpoints: Iterable[str], work: Path) -> list[str]:
    """Resolve `endpoints` anew: the lines of a new lock file (for an upgrade of Kafka)."""
    context = MavenContext(resolver=PythonResolver(), repo_cache=work, timeout=60)
    wanted, further = context.resolver.resolve(
        [context.create_dependency(endpoint) for endpoint in endpoints]
    )
    needed = [*wanted, *(each for each in further if each.scope in ("compile", "runtime"))]
    lines = []
    for artifact in (dependency.artifact for dependency in needed):
        component = artifact.component
        name = f"{component.project.groupId}:{component.project.artifactId}:{component.version}"
        digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
        lines.append(f"{name} sha256:{digest}\n")
    return sorted(lines)
