"""The two images: what they add to their base, who they run as, what they do not hold; and what they refuse."""

from __future__ import annotations

import json

import pytest

from tests.compose.site import Site

MEGABYTE = 1_000_000
# What an image may add to python:3.11-slim.
LIMITS = {
    "stacklens-analytics-service:latest": 200 * MEGABYTE,
    "stacklens-dashboard-api:latest": 120 * MEGABYTE,
}
BASE = "python:3.11-slim"
PLACEHOLDERS = (
    "DB_PASSWORD", "DB_READER_PASSWORD", "DB_ADMIN_PASSWORD", "GRAFANA_ADMIN_PASSWORD", "API_USERS",
)  # fmt: skip
BUILDERS = "gcc cc g++ c++ clang make ld as pip pip3 npm git"


@pytest.mark.parametrize("image", LIMITS)
def test_an_image_is_small(site: Site, image: str) -> None:
    size, base = (
        int(site.right(f"docker image inspect --format '{{{{.Size}}}}' {each}"))
        for each in (image, BASE)
    )
    print(f"{image}: {(size - base) / MEGABYTE:.0f} MB above its base")
    assert 0 < size - base <= LIMITS[image]
    # Nothing but additions: its first layers are the base's.
    layers, below = (
        json.loads(
            site.right(f"docker image inspect --format '{{{{json .RootFS.Layers}}}}' {each}")
        )
        for each in (image, BASE)
    )
    assert layers[: len(below)] == below


@pytest.mark.parametrize("image", LIMITS)
def test_an_image_is_not_root_s_and_can_build_nothing(site: Site, image: str) -> None:
    inside = f"docker run --rm --entrypoint sh {image} -c"
    assert site.right(f"{inside} 'id -un; id -u'").split() == ["stacklens", "10001"]
    # What the base brings is the base's: pip of its own Python is outside of ours.
    found = site.shell(f"{inside} 'for each in {BUILDERS}; do ls /opt/stacklens/bin/$each; done'")
    assert found.printed == ""
    compilers = site.shell(
        f"{inside} 'for each in gcc cc g++ c++ clang ld as; do command -v $each; done'"
    )
    assert compilers.printed == ""
    assert site.shell(f"{inside} 'touch /opt/stacklens/new'").status != 0


@pytest.mark.parametrize("image", LIMITS)
def test_an_image_holds_no_secret(site: Site, image: str) -> None:
    held = [
        line.partition("=")[2]
        for line in (site.checkout / ".env.prod").read_text().splitlines()
        if "PASSWORD=" in line or line.startswith("API_USERS=")
    ]
    assert len(held) == 5
    history = site.right(f"docker history --no-trunc --format '{{{{.CreatedBy}}}}' {image}")
    config = site.right(f"docker image inspect --format '{{{{json .Config}}}}' {image}")
    assert not [each for each in held if each in history + config]
    files = site.right(
        f"docker run --rm --entrypoint find {image} /opt/stacklens /tmp -name '.env*' -o -name '.git'"
        " -o -name '.npmrc' -o -name 'pip.conf' -o -name '*.key' -o -name '.netrc'"
    )
    assert files == ""


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("stacklens-analytics-service:latest", ""),
        ("stacklens-analytics-service:latest", "stacklens notifier"),
        ("stacklens-dashboard-api:latest", ""),
    ],
)
def test_the_example_is_refused_with_every_problem_at_once(
    site: Site, image: str, command: str
) -> None:
    outcome = site.shell(f"docker run --rm --env-file .env.prod.example {image} {command}")
    assert outcome.status == 2
    said = outcome.printed + outcome.errors
    assert f"{len(PLACEHOLDERS)} problem(s) in the configuration" in said
    for name in PLACEHOLDERS:
        assert f"- {name}: " in said
