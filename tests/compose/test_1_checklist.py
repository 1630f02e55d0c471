"""Every command of DEPLOYMENT_CHECKLIST.md, as typed, on a machine that has none of the stack; then its cron lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.blocks import Block, blocks, crontab_lines, differs
from tests.compose.conftest import wait_for_health
from tests.compose.lab import ROOT
from tests.compose.site import Site

PAGE = (ROOT / "DEPLOYMENT_CHECKLIST.md").read_text(encoding="utf-8")
TYPED = [block for block in blocks(PAGE) if block.excuse is None]
HEALTHY_WITHIN_S = 120


@pytest.fixture(scope="module", autouse=True)
def packet_filter(site: Site) -> Iterator[None]:
    """The machine's rules for containers are in the end what they were."""
    before = site.right("iptables -S DOCKER-USER").splitlines()
    yield
    for rule in site.right("iptables -S DOCKER-USER").splitlines():
        if rule not in before:
            site.right("iptables " + rule.replace("-A", "-D", 1))


@pytest.mark.parametrize("block", TYPED, ids=[f"line-{block.line}" for block in TYPED])
def test_a_command_prints_what_the_page_says(site: Site, block: Block) -> None:
    outcome = site.shell(block.commands, deadline_s=800)
    assert outcome.status == 0, outcome
    difference = differs(block.expected or "", outcome.printed)
    assert difference is None, f"{difference}\n{outcome}"
    if block.heading == "5. Start":
        print(f"all healthy after {wait_for_health(site, HEALTHY_WITHIN_S):.0f} s")


def test_after_the_rollback_the_stack_is_healthy_and_empty(site: Site) -> None:
    assert TYPED[-1].heading == "18. Rollback"
    print(f"all healthy after {wait_for_health(site, HEALTHY_WITHIN_S):.0f} s")
    assert site.number("SELECT count(*) FROM analytics_events") == 0
    assert site.number("SELECT count(*) FROM analytics_metrics_1hour") == 0


@pytest.fixture
def usual_places(site: Site, tmp_path: Path) -> Iterator[Path]:
    """/opt/stacklens and /backups, where the machine has none; and a notify_alert that writes down what it is told."""
    opt, backups = Path("/opt/stacklens"), Path("/backups")
    made = [place for place in (opt, backups) if not place.exists()]
    if opt in made:
        opt.symlink_to(site.checkout)
    backups.mkdir(exist_ok=True)
    assert opt.resolve() == site.checkout.resolve(), "another checkout is in use here"
    program = tmp_path / "notify_alert"
    program.write_text(f"#!/bin/sh\necho told >>{tmp_path}/told\n")
    program.chmod(0o755)
    yield tmp_path
    if opt in made:
        opt.unlink()
    if backups in made:
        for dump in backups.glob("stacklens_*.sql.gz"):
            dump.unlink()
        backups.rmdir()


def test_the_crontab_s_lines(site: Site, usual_places: Path) -> None:
    archive, backup, forget, look, health = crontab_lines(PAGE)
    path = f"HOME={site.home} PATH={usual_places}:/usr/local/bin:/usr/bin:/bin; cd; "
    assert "hot tier" in cron(site, path + archive)
    assert cron(site, path + backup) == ""
    (dump,) = Path("/backups").glob("stacklens_*.sql.gz")
    assert "database dump complete" in site.right(f"zcat {dump} | tail -n 20")
    assert cron(site, path + look) == ""
    assert site.number("SELECT count(*) FROM backups_made") == 1
    site.right(f"touch -d '32 days ago' {dump}")
    assert cron(site, path + forget) == ""
    assert not dump.exists()
    assert cron(site, path + health) == ""
    assert not (usual_places / "told").exists()
    site.right("docker-compose stop nginx 2>/dev/null")
    cron(site, path + health)
    assert (usual_places / "told").read_text() == "told\n"
    site.right("docker-compose start nginx 2>/dev/null")
    wait_for_health(site)


def cron(site: Site, line: str) -> str:
    """What a line prints in cron's shell."""
    outcome = site.shell(line, program="/bin/sh")
    assert outcome.status == 0, outcome
    return outcome.printed
