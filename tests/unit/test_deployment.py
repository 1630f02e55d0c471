"""The compose files, the Dockerfile and cron's lines: what operators and the checklist rely on, without an engine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose-phase4.yml"
STACK: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = STACK["services"]
DEFAULT_IMAGES = {
    "zookeeper": "confluentinc/cp-zookeeper:7.5.0",
    "kafka": "confluentinc/cp-kafka:7.5.0",
    "postgres": "timescale/timescaledb:latest-pg15",
    "nginx": "nginx:alpine",
    "kafka-ui": "provectuslabs/kafka-ui:latest",
    "prometheus": "prom/prometheus:latest",
    "alertmanager": "prom/alertmanager:latest",
    "grafana": "grafana/grafana:latest",
}
BUILT = {
    "analytics-service": "stacklens-analytics-service:latest",
    "alert-notifier": "stacklens-analytics-service:latest",
    "dashboard-api": "stacklens-dashboard-api:latest",
}
OPEN_TO_OTHERS = {"8005:8005", "8443:8443"}
CHECKLIST_VOLUMES = {
    "postgres-analytics-data",
    "kafka-analytics-data",
    "zookeeper-analytics-data",
}


def image(service: str) -> str:
    """The image with the default that an unset variable leaves."""
    text: str = SERVICES[service]["image"]
    found = re.fullmatch(r"\$\{\w+:-(.+)\}", text)
    return found[1] if found else text


def test_the_file_without_a_name_is_the_named_one() -> None:
    assert (ROOT / "docker-compose.yml").resolve() == COMPOSE


def test_every_image_is_the_one_of_the_contract() -> None:
    assert {name: image(name) for name in SERVICES} == {**DEFAULT_IMAGES, **BUILT}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_bounded_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"]["max-size"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    # An engine refuses more processors than it has, and the smallest machine that is tried has two.
    assert float(service["deploy"]["resources"]["limits"]["cpus"]) <= 2


def test_only_nginx_is_open_to_others() -> None:
    ports = {each for service in SERVICES.values() for each in service.get("ports", [])}
    assert {each for each in ports if not each.startswith("127.0.0.1:")} == OPEN_TO_OTHERS
    published = {each.split(":")[-2] for each in ports}
    assert published == {"3000", "5432", "8004", "8005", "8080", "8443", "9090", "9092", "9093"}
    for name in BUILT:
        assert "ports" not in SERVICES[name]


def test_volumes_carry_their_literal_names() -> None:
    volumes = STACK["volumes"]
    assert {name for name, each in volumes.items() if each["name"] == name} >= CHECKLIST_VOLUMES


def test_kafka_has_one_port_and_two_audiences() -> None:
    kafka = SERVICES["kafka"]
    assert kafka["container_name"] == "stacklens-kafka-analytics"
    environment = kafka["environment"]
    assert (
        environment["KAFKA_ADVERTISED_LISTENERS"]
        == "INTERNAL://kafka:9092,EXTERNAL://localhost:9092"
    )
    assert kafka["ports"] == ["127.0.0.1:9092:29092"]
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_no_secret_and_nothing_of_a_shell_is_needed() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    # Every variable that compose itself replaces has a default; $$ is for the container.
    for name, rest in re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", text):
        assert rest.startswith(":-"), name
    assert not re.search(r"(?<!\$)\$[A-Z]", text)
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"PASSWORD|SECRET|KEY|WEBHOOK", name) or str(value).startswith(
                "$$__env{"
            )


def test_files_that_are_mounted_exist() -> None:
    for service in SERVICES.values():
        for each in service.get("volumes", []):
            if each.startswith("./"):
                assert (ROOT / each.split(":")[0]).exists(), each


def test_the_api_watches_the_certificate_that_nginx_serves() -> None:
    folder = "./nginx/certs:/etc/nginx/certs:ro"
    assert folder in SERVICES["nginx"]["volumes"]
    assert SERVICES["dashboard-api"]["volumes"] == [folder]
    served = (ROOT / "nginx" / "40-tls.sh").read_text(encoding="utf-8")
    assert "certificates=${STACKLENS_CERTIFICATES:-/etc/nginx/certs}" in served
    assert "ssl_certificate $certificates/tls.crt;" in served
    watched = SERVICES["dashboard-api"]["environment"]["API_CERTIFICATE_FILE"]
    assert watched == "/etc/nginx/certs/tls.crt"


def test_production_adds_two_brokers_and_changes_what_exists() -> None:
    more = yaml.safe_load((ROOT / "docker-compose-production.yml").read_text(encoding="utf-8"))
    services: dict[str, Any] = more["services"]
    assert set(services) - set(SERVICES) == {"kafka-2", "kafka-3"}
    for name in ("kafka-2", "kafka-3"):
        broker, first = services[name], SERVICES["kafka"]
        # As well locked up as the first one, and nothing of it is forgotten but what tells them apart.
        for key in (
            "image",
            "depends_on",
            "healthcheck",
            "restart",
            "logging",
            "cap_drop",
            "security_opt",
            "stop_grace_period",
            "deploy",
        ):
            assert broker[key] == first[key], key
        assert set(broker["environment"]) >= set(first["environment"])
        same = {
            k: v
            for k, v in first["environment"].items()
            if "REPLICATION" not in k and "ISR" not in k
        }
        apart = {k for k, v in same.items() if broker["environment"][k] != v}
        assert apart == {"KAFKA_BROKER_ID", "KAFKA_ADVERTISED_LISTENERS"} | (
            apart & {"KAFKA_HEAP_OPTS"}
        )
        assert all(port.startswith("127.0.0.1:") for port in broker["ports"])
    assert services["analytics-service"]["deploy"]["replicas"] > 1
    assert not any("container_name" in SERVICES[name] for name in BUILT)


def test_the_dockerfile_takes_what_the_ignore_file_lets_through() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / "docker/Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    taken = {
        each
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.M)
        for each in line.split()[:-1]
    }
    assert taken == allowed
    assert all((ROOT / each).exists() for each in taken)
    for lock in ("requirements.txt", "requirements-api.txt"):
        assert f"--require-hashes --no-deps -r {lock}" in dockerfile
    assert re.search(r"^USER stacklens$", dockerfile, re.M)


def pinned(lock: str) -> dict[str, set[str]]:
    """`name==version` of a lock, each with its hashes."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        start = re.match(r"([a-z0-9._-]+==\S+)", line)
        name = start[1] if start else name
        found.setdefault(name, set()).update(re.findall(r"--hash=(\S+)", line))
    return found


def test_the_api_s_packages_are_those_of_the_whole_product_without_faust() -> None:
    everything, api = pinned("requirements.txt"), pinned("requirements-api.txt")
    assert api.items() <= everything.items(), "run `make lock`"
    left_out = {each.partition("==")[0] for each in everything.keys() - api.keys()}
    assert {"faust-streaming", "mode-streaming", "aiohttp"} <= left_out


def test_cron_has_its_three_jobs_at_their_times() -> None:
    lines = (ROOT / "cron" / "stacklens.cron").read_text(encoding="utf-8").splitlines()
    jobs = [line.rsplit(" ", 1) for line in lines if line and line[0] not in "#S"]
    assert [when for when, _ in jobs] == ["0 1 * * *", "0 2 * * *", "*/5 * * * *"]
    for _, command in jobs:
        program = ROOT / command.replace('"$STACKLENS"/', "")
        assert program.stat().st_mode & 0o111, program


@pytest.mark.parametrize("answer", ["", '{"status": "unhealthy"}', "<html>"])
def test_the_health_check_tells_people(tmp_path: Path, answer: str) -> None:
    said = run_health_check(tmp_path, answer)
    assert said.returncode == 1
    told = (tmp_path / "told").read_text()
    assert told.startswith("StackLens at http://stack.example is not healthy")
    assert "ALERT" in (tmp_path / "logs" / "health-check.log").read_text()


def test_the_health_check_is_quiet_when_all_is_well(tmp_path: Path) -> None:
    said = run_health_check(tmp_path, '{"status": "healthy"}')
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    assert not (tmp_path / "told").exists()
    assert (tmp_path / "logs" / "health-check.log").read_text().endswith(" healthy\n")


def run_health_check(directory: Path, answer: str) -> subprocess.CompletedProcess[str]:
    """cron's health check with a curl, a jq and a notify_alert of ours before the real ones."""
    programs = directory / "bin"
    programs.mkdir()
    (directory / "answer").write_text(answer)
    scripts = {
        "curl": f"cat {directory}/answer",
        "notify_alert": f'echo "$*" >{directory}/told',
        "jq": 'sed -n \'s/.*"status": *"\\([a-z]*\\)".*/\\1/p\'',
    }
    for name, text in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    return subprocess.run(
        [ROOT / "cron" / "health-check.sh"],
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            "STACKLENS_LOGS": str(directory / "logs"),
            "STACKLENS_URL": "http://stack.example",
        },
        capture_output=True,
        text=True,
        check=False,
    )
