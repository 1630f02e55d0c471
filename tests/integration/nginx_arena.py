"""Debian's nginx with our configuration on loopback, before replicas that can be ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devstack.nginx import Nginx
from devstack.ports import free_port, listening
from tests.integration.nginx_replicas import NameServer, Replica
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "nginx" / "templates"
API, WORKER = "dashboard-api", "analytics-service"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass
class Arena:
    """A running nginx and what it needs."""

    nginx: Nginx
    directory: Path
    names: NameServer
    ports: dict[str, int]
    authority: Path
    replicas: dict[str, Replica] = field(default_factory=dict)

    def add(self, kind: str, address: str) -> Replica:
        """One more replica, known to the name server."""
        replica = Replica(address, self.ports[f"{kind} upstream"])
        self.replicas[address] = replica
        self.names.names.setdefault(kind, []).append(address)
        return replica

    def get(
        self,
        path: str,
        to: str = API,
        method: str = "GET",
        body: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """One request on a connection of its own; header names with _ for -."""
        connection: http.client.HTTPConnection
        if to == "tls":
            trusting = ssl.create_default_context(cafile=str(self.authority))
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.ports[to], timeout=10, context=trusting
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[to], timeout=10)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            found = connection.getresponse()
            return Answer(found.status, found.headers, found.read())

    def log(self) -> list[dict[str, Any]]:
        """The access log."""
        lines = (self.directory / "access.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def reload(self) -> None:
        """What `nginx -s reload` does."""
        os.kill(int((self.directory / "nginx.pid").read_text()), signal.SIGHUP)


def render(directory: Path, values: Mapping[str, str]) -> None:
    """The templates, as the image's entrypoint fills them in: names that are set, and nothing else."""
    for template in TEMPLATES.glob("*.template"):
        text = re.sub(
            r"\$\{(\w+)\}",
            lambda found: values.get(found[1], found[0]),
            template.read_text(encoding="utf-8"),
        )
        assert "${STACKLENS_" not in text
        # No container: the log is a file.
        text = text.replace("/dev/stdout", str(directory / "access.log"))
        (directory / template.name.removesuffix(".template")).write_text(text, encoding="utf-8")


@contextlib.contextmanager
def running(nginx: Nginx, directory: Path, certificates: Path) -> Iterator[Arena]:
    """nginx, until the end of the block; TLS if there are certificates."""
    names = NameServer()
    kinds = (API, WORKER, "tls", f"{API} upstream", f"{WORKER} upstream")
    found = {kind: free_port() for kind in kinds}
    arena = Arena(nginx, directory, names, found, certificates / "ca.pem")
    ports = arena.ports
    values = {
        "STACKLENS_RUN_DIR": str(directory),
        "STACKLENS_CONF_DIR": str(directory),
        "STACKLENS_MIME_TYPES": str(nginx.mime_types),
        "STACKLENS_RESOLVER": f"127.0.0.1:{names.port}",
        "STACKLENS_FRONT_PROXY": "127.0.0.1",
        "STACKLENS_API_LISTEN": f"127.0.0.1:{ports[API]}",
        "STACKLENS_WORKER_LISTEN": f"127.0.0.1:{ports[WORKER]}",
        "STACKLENS_TLS_LISTEN": f"127.0.0.1:{ports['tls']}",
        "STACKLENS_API_UPSTREAM": f"{API}:{ports[f'{API} upstream']}",
        "STACKLENS_WORKER_UPSTREAM": f"{WORKER}:{ports[f'{WORKER} upstream']}",
        "STACKLENS_CERTIFICATES": str(certificates),
    }
    render(directory, values)
    subprocess.run([ROOT / "nginx/40-tls.sh"], env={**os.environ, **values}, check=True)
    # Started by root, its workers would be somebody who may not write here.
    more = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"
    with subprocess.Popen(
        [*nginx.command, "-p", directory, "-c", directory / "nginx.conf", "-g", more],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=dict(nginx.env),
    ) as process:
        try:
            wait_until(
                lambda: process.poll() is not None or listening(ports[WORKER]), 60, "nginx listens"
            )
            if process.poll() is not None:
                assert process.stderr is not None
                raise AssertionError(process.stderr.read().decode())
            yield arena
        finally:
            process.terminate()
            process.wait(60)
            for replica in arena.replicas.values():
                replica.close()
            names.close()
