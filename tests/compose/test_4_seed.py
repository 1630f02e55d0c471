"""The commands of the deployment checklist that the product was ordered with, as typed there, on a stack from nothing.

They are read from the seed at run time. Lines that cannot be typed as they stand are left out below,
each with its reason; what comes instead of them is in our own checklist.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.blocks import Block, blocks
from tests.compose.conftest import wait_for_health
from tests.compose.lab import ROOT
from tests.compose.site import Outcome, Site, make_site

SEED = "002*"
# Lines of bash blocks that are not typed: what they begin with, and why.
LEFT_OUT = {
    "0 2 * * *": "a line of a crontab, not of a shell",
    "sudo ": "has no effect on published ports, and changes the machine",
}
FOLLOWS = re.compile(r"^docker-compose .* logs -f .*$", re.M)
NAMED_DUMP = "stacklens_backup_20240115_100000.sql"
EMPTY_DATABASE = (
    "dropdb -h localhost -U stacklens_user --force --maintenance-db=postgres stacklens && "
    "createdb -h localhost -U stacklens_user --maintenance-db=postgres stacklens"
)


def seed_page() -> str:
    """The seed's text, from SEEDS or shared/seeds beside the checkout; the tests are skipped where it is not."""
    named = os.environ.get("SEEDS")
    directory = Path(named) if named else ROOT.parent / "shared" / "seeds"
    found = sorted(directory.glob(SEED))
    if not found:
        pytest.skip(f"no seed {SEED} in {directory}: name its directory in SEEDS")
    return found[0].read_text(encoding="utf-8")


class Seed:
    """The seed's blocks by the words of their heading, typed into a site."""

    def __init__(self, site: Site, page: str) -> None:
        self.site = site
        self._blocks = blocks(page)
        self.typed: set[int] = set()
        self._sql: list[str] = re.findall(r"^```sql\n(.*?)^```$", page, re.M | re.S)

    def commands(self, heading: str) -> list[Block]:
        """The blocks under a heading."""
        found = [block for block in self._blocks if heading in block.heading]
        assert found, f"the seed has no commands under {heading!r}"
        self.typed |= {block.line for block in found}
        return found

    def type(self, heading: str, deadline_s: float = 300) -> Outcome:
        """Type everything under a heading into one fresh shell."""
        return self.site.shell(
            "\n".join(text(block) for block in self.commands(heading)), deadline_s
        )

    def untyped(self) -> list[str]:
        """Headings of commands that no test has typed."""
        return [block.heading for block in self._blocks if block.line not in self.typed]

    def sql(self, words: str) -> str:
        """The one SQL block with these words."""
        (found,) = [each for each in self._sql if words in each]
        return found


def text(block: Block) -> str:
    """What is typed of a block."""
    lines = [line for line in block.commands.splitlines() if not line.startswith(tuple(LEFT_OUT))]
    return FOLLOWS.sub("true", "\n".join(lines))


@pytest.fixture(scope="module")
def seed(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seed]:
    """The seed beside a fresh checkout, a fresh home and no stack."""
    page = seed_page()
    site.remove_stack()
    fresh = make_site(tmp_path_factory.mktemp("seed"))
    yield Seed(fresh, page)
    fresh.remove_stack()


@pytest.fixture(scope="module")
def ours(checklist: list[Block]) -> dict[str, str]:
    """What the first step of our checklist adds to the seed's, by what it makes."""
    words = {"production": "APP_ENV=production", "logins": "~/.netrc\n", "user": "hash-password"}
    return {
        name: next(block.commands for block in checklist if word in block.commands)
        for name, word in words.items()
    }


def test_environment_directories_and_build(seed: Seed, ours: dict[str, str]) -> None:
    assert seed.type("Step 1").status == 0
    for name in ("production", "logins"):
        seed.site.right(ours[name])
    assert seed.type("Step 2").status == 0
    built = seed.type("Step 3", deadline_s=600)
    assert built.status == 0
    names = {"-".join(line.split()[:2]) for line in built.printed.splitlines()}
    assert names >= {"stacklens-analytics-service-latest", "stacklens-dashboard-api-latest"}
    seed.site.right(ours["user"])


def test_start_and_health(seed: Seed) -> None:
    started = seed.type("Step 4")
    assert started.status == 0
    assert len(re.findall(r" Up ", started.printed)) == 11
    waited = seed.type("Step 5")
    for part in ("Database healthy", "Analytics service healthy", "Dashboard API healthy"):
        assert part in waited.printed
    print(f"all healthy after {wait_for_health(seed.site):.0f} s more")


def test_connectivity_and_schema(seed: Seed) -> None:
    said = seed.type("Connectivity").printed
    assert " analytics_events " in said
    assert "ApiVersions" in said or re.search(r"Produce\(0\): ", said)
    assert '"status": "healthy"' in said
    schema = seed.type("Schema Validation").printed
    for name in ("events", "metrics_1min", "metrics_5min", "metrics_1hour"):
        assert re.search(rf"\| analytics_{name} ", schema)
    assert schema.count("(4 rows)") == schema.count("(6 rows)") == schema.count("(3 rows)") == 1


def test_endpoints(seed: Seed) -> None:
    numbers = [int(line) for line in seed.type("API Endpoint").printed.split()]
    assert len(numbers) == 4
    assert numbers[3] > 0


def test_data_flow_with_a_local_time_without_a_zone(seed: Seed) -> None:
    said = seed.type("Data Flow").printed
    assert "Test message sent" in said
    assert '"service": "deployment-test-service"' in said
    assert '"total_requests": 1' in said


def test_performance_baseline(seed: Seed) -> None:
    said = seed.type("Performance Baseline").printed
    assert "Aggregated 1 metrics\n" in said
    assert "Complete requests:      100" in said
    # As typed, without -A: refused as it should be, or told to slow down. Our line has -A.
    assert "Non-2xx responses:      100" in said
    assert "Execution Time:" in said


def test_logs(seed: Seed) -> None:
    assert seed.type("Log Aggregation").status == 0
    assert (seed.site.checkout / "deployment_logs.txt").stat().st_size > 1000


def test_alert_rules_and_channels(seed: Seed) -> None:
    rules = seed.sql("INSERT INTO analytics_alert_rules")
    for _ in range(2):
        said = seed.site.right(
            f"psql -h localhost -U stacklens_user -d stacklens <<'EOF'\n{rules}\nEOF"
        )
        assert said.startswith("INSERT 0 ")
    assert seed.site.number("SELECT count(*) FROM analytics_alert_rules") == 4
    assert seed.type("Notification Channels").status == 0


def test_backup_and_recovery(seed: Seed) -> None:
    site = seed.site
    assert seed.type("Database Backup").status == 0
    plain, packed = sorted(site.checkout.glob("stacklens_backup_*.sql*"))
    plain.rename(site.checkout / NAMED_DUMP)
    packed.rename(site.checkout / f"{NAMED_DUMP}.gz")
    site.right("docker-compose stop analytics-service alert-notifier dashboard-api 2>/dev/null")
    (block,) = seed.commands("Data Recovery")
    restores = [line for line in block.commands.splitlines() if line and not line.startswith("#")]
    assert len(restores) == 2
    for restore in restores:
        site.right(EMPTY_DATABASE)
        outcome = site.shell(restore)
        assert outcome.status == 0
        assert "ERROR" not in outcome.errors
        query = "SELECT count(*) FROM analytics_events WHERE service = 'deployment-test-service'"
        assert site.number(query) == 1
    site.right("docker-compose up -d 2>/dev/null")
    wait_for_health(site)
    assert site.number("SELECT total_requests FROM analytics_metrics_1min LIMIT 1") == 1


def test_daily_tasks(seed: Seed) -> None:
    backups = Path("/backups")
    made = not backups.exists()
    backups.mkdir(exist_ok=True)
    before = set(backups.iterdir())
    try:
        said = seed.type("Daily Tasks").printed
        (dump,) = set(backups.iterdir()) - before
        assert "database dump complete" in seed.site.right(f"zcat {dump} | tail -n 20")
        dump.unlink()
    finally:
        if made:
            backups.rmdir()
    assert "analytics_archive_old_data" in said
    assert said.rstrip().endswith("true")


def test_the_running_services_as_the_criteria_look_for_them(seed: Seed) -> None:
    for service in ("analytics-service", "dashboard-api", "postgres", "kafka"):
        assert " Up " in seed.site.right(f"docker-compose ps | grep {service}")


def test_rollback_and_healthy_again(seed: Seed) -> None:
    said = seed.type("Rollback", deadline_s=400)
    assert len(re.findall(r" Up ", said.printed)) == 11
    print(f"all healthy after {wait_for_health(seed.site):.0f} s")
    assert '"status":"healthy"' in seed.site.right("curl -s http://localhost:8005/health").replace(
        " ", ""
    )
    assert seed.site.number("SELECT count(*) FROM analytics_events") == 0


def test_every_command_of_the_seed_was_typed_or_is_left_out_for_a_reason(seed: Seed) -> None:
    assert [heading for heading in seed.untyped() if "Network Security" not in heading] == []
