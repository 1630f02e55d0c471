"""Apache Kafka 4.1.1 in KRaft mode: one process that is broker and controller."""

from __future__ import annotations

import base64
import shutil
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from devstack.cache import Part
from devstack.errors import DevstackError
from devstack.java import ahead_of_time_cache, java_command
from devstack.ports import free_port, listening
from devstack.process import GuardedProcess

# Counts up when what is in the part changes: an old part is then left alone and a new one made.
PART_NAME = "kafka-4.1.1-1"
HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC")
SECONDS_TO_START = 120

SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
num.network.threads=2
num.io.threads=4
background.threads=2
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
log.cleaner.dedupe.buffer.size=8388608
log.initial.task.delay.ms=5000
log.retention.check.interval.ms=5000
log.segment.delete.delay.ms=1000
"""

# A second way in, for clients that are to come through a proxy: who connects here is told to come to the proxy's port.
# Written after SETTINGS: of two lines with one name the last one counts.
BEHIND_A_PROXY = """\
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port},PROXIED://127.0.0.1:{behind}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
"""


def kafka_part(cache: Path) -> Part:
    """Kafka's part of the cache."""
    return Part(cache / PART_NAME)


def fetch_kafka(part: Part) -> None:
    """Download the jars and format one empty data directory, to be copied at each start."""
    from devstack.jars import fetch_jars

    part.begin()
    fetch_jars(part.path / "jars")
    template = part.path / "template"
    properties = part.path / "format.properties"
    properties.write_text(SETTINGS.format(port=1, controller_port=2, data=template))
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    done = subprocess.run(
        java_command(
            part, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DevstackError(f"Kafka's storage could not be formatted:\n{done.stderr[-2000:]}")
    part.finish()


class Broker(GuardedProcess):
    """A running broker on a port of its own; its data are under `directory`.

    With `proxy_port` it listens on `behind_proxy_port` as well, and sends the clients that come in there to the proxy.
    """

    def __init__(
        self,
        part: Part,
        directory: Path,
        options: Sequence[str] = (),
        *,
        proxy_port: int | None = None,
    ) -> None:
        directory.mkdir(parents=True)
        cache = ahead_of_time_cache(part)
        if cache.exists() and cache.stat().st_size:
            options = (f"-XX:AOTCache={cache}", *options)
        self.port = free_port()
        data = directory / "data"
        shutil.copytree(part.path / "template", data)
        properties = directory / "server.properties"
        controller_port = free_port()
        settings = SETTINGS.format(port=self.port, controller_port=controller_port, data=data)
        self.behind_proxy_port: int | None = None
        if proxy_port is not None:
            self.behind_proxy_port = free_port()
            settings += BEHIND_A_PROXY.format(
                port=self.port,
                controller_port=controller_port,
                behind=self.behind_proxy_port,
                proxy=proxy_port,
            )
        properties.write_text(settings)
        super().__init__(
            name="Kafka",
            argv=java_command(
                part,
                *HEAP,
                *options,
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "kafka.Kafka",
                str(properties),
            ),
            directory=directory,
            env={"LC_ALL": "C.UTF-8", "LOG_DIR": str(directory)},
            end_signal=signal.SIGKILL,
            stop_signal=signal.SIGTERM,
        )

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, as clients want it."""
        return f"127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """Return once the broker has registered with its controller and answers requests."""
        self.wait_until_answering(self._answers, SECONDS_TO_START)

    def _answers(self) -> bool:
        if not listening(self.port):
            return False
        from kafka.admin import KafkaAdminClient
        from kafka.errors import KafkaError

        try:
            admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        except KafkaError:
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            admin.close()
