"""When certificates end, as the API exports it: of certificates made by openssl, and of files that are none."""

from __future__ import annotations

import logging
import random
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dashboard_api.certificates import CertificateCollector, CertificateError, certificate_end
from dashboard_api.counters import ServerState
from dashboard_api.metrics import ApiMetrics, registry_of

SEED = 20_260_131
ENDS = "stacklens_certificate_expires_timestamp_seconds"
UNREADABLE = "stacklens_certificate_unreadable"
CONFIG = """
[ca]
default_ca = here
[here]
database = {directory}/index
new_certs_dir = {directory}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = anything
[anything]
commonName = supplied
[v3]
basicConstraints = CA:FALSE
subjectAltName = DNS:stacklens.example
"""
Issue = Callable[..., bytes]


def in_words(moment: datetime) -> str:
    """A time as openssl takes it."""
    return f"{moment:%Y%m%d%H%M%S}Z"


def ends(days: int, seconds: int) -> datetime:
    """A moment that long after 1990."""
    return datetime(1990, 1, 1, tzinfo=UTC) + timedelta(days=days, seconds=seconds)


_random = random.Random(SEED)
RANDOM_ENDS = [ends(_random.randrange(60_000), _random.randrange(86_400)) for _ in range(12)]
CORNERS = [
    datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(2028, 2, 29, 12, tzinfo=UTC),
    # The last of two digits and the first of four.
    datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2050, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
]


@pytest.fixture(scope="module")
def issue(tmp_path_factory: pytest.TempPathFactory) -> Issue:
    """Makes a certificate that ends at a moment; PEM."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    directory = tmp_path_factory.mktemp("authority")
    (directory / "index").touch()
    (directory / "config").write_text(CONFIG.format(directory=directory))

    def say(*arguments: str | Path) -> None:
        subprocess.run([openssl, *arguments], cwd=directory, check=True, capture_output=True)

    say("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=stacklens.example", "-keyout", "ec.key", "-out", "ec.csr")  # fmt: skip
    say("req", "-new", "-newkey", "rsa:2048", "-nodes",
        "-subj", "/CN=" + "x" * 60, "-keyout", "rsa.key", "-out", "rsa.csr")  # fmt: skip

    def make(end: datetime, key: str = "ec", *more: str) -> bytes:
        say("ca", "-selfsign", "-batch", "-notext", "-config", "config", "-in", f"{key}.csr",
            "-keyfile", f"{key}.key", "-startdate", "19800101000000Z", "-enddate", in_words(end),
            "-out", "made.pem", *more)  # fmt: skip
        return (directory / "made.pem").read_bytes()

    return make


@pytest.mark.parametrize("end", [*RANDOM_ENDS, *CORNERS], ids=in_words)
def test_it_ends_when_openssl_was_told(issue: Issue, end: datetime) -> None:
    assert certificate_end(issue(end)) == end


@pytest.mark.parametrize("key", ["ec", "rsa"])
@pytest.mark.parametrize("more", [(), ("-extensions", "v3")], ids=["version-1", "version-3"])
def test_every_form_of_certificate(issue: Issue, key: str, more: tuple[str, ...]) -> None:
    assert certificate_end(issue(RANDOM_ENDS[0], key, *more)) == RANDOM_ENDS[0]


def test_a_chain_ends_with_the_first_of_its_certificates(issue: Issue) -> None:
    first, second = issue(CORNERS[1]), issue(CORNERS[0])
    text = b"subject=whatever\r\n" + first.replace(b"\n", b"\r\n") + b"\nissuer=\n" + second
    assert certificate_end(text) == CORNERS[0]
    assert certificate_end(second + first) == CORNERS[0]


def test_what_is_no_certificate_is_told(issue: Issue) -> None:
    good = issue(CORNERS[1])
    lines = good.splitlines(keepends=True)
    bad = {
        "no certificate in PEM": [b"", b"\x30\x82", good[:-30]],
        "cannot be read": [
            b"".join(lines[:3] + lines[-1:]),  # cut short
            good.replace(lines[1], b"!" + lines[1][1:]),
            b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        ],
    }
    for told, files in bad.items():
        for each in files:
            with pytest.raises(CertificateError, match=told):
                certificate_end(each)


def test_no_byte_of_it_can_make_it_fail_otherwise(issue: Issue) -> None:
    """Damage is told, or it is somewhere that does not matter."""
    import ssl

    der = bytearray(ssl.PEM_cert_to_DER_cert(issue(CORNERS[1]).decode()))
    chance = random.Random(SEED)
    told = 0
    for _ in range(3_000):
        damaged = bytearray(der)
        damaged[chance.randrange(len(der))] = chance.randrange(256)
        del damaged[chance.randrange(1, len(der) * 3) :]
        try:
            certificate_end(ssl.DER_cert_to_PEM_cert(bytes(damaged)).encode())
        except CertificateError:
            told += 1
    assert 500 < told < 2_900


def samples(path: Path | None) -> dict[str, float]:
    """What Prometheus reads about the file."""
    registry = registry_of(ApiMetrics(["/"]), ServerState(), path)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if "certificate" in sample.name
    }


def test_what_prometheus_reads(issue: Issue, tmp_path: Path) -> None:
    file = tmp_path / "tls.crt"
    assert samples(None) == {}
    assert samples(file) == {UNREADABLE: 0}
    file.write_bytes(issue(CORNERS[2]))
    assert samples(file) == {ENDS: CORNERS[2].timestamp(), UNREADABLE: 0}
    file.write_text("nonsense")
    assert samples(file) == {UNREADABLE: 1}


def test_a_directory_and_a_link_to_nowhere_are_no_absence(tmp_path: Path) -> None:
    """As an engine leaves a directory where a file was to be mounted, and as certbot's links are outside of its own."""
    assert samples(tmp_path) == {UNREADABLE: 1}
    link = tmp_path / "tls.crt"
    link.symlink_to("../../archive/fullchain1.pem")
    assert samples(link) == {UNREADABLE: 1}


def test_trouble_is_logged_once_and_its_end_too(
    issue: Issue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "tls.crt"
    collector = CertificateCollector(file)
    contents = [b"nonsense", b"nonsense", issue(CORNERS[2]), issue(CORNERS[2]), b"nonsense"]
    for each in contents:
        file.write_bytes(each)
        list(collector.collect())
    file.unlink()
    list(collector.collect())
    bad = f"certificate {file}: holds no certificate in PEM; nobody is warned before it ends"
    well = f"certificate {file} is well again"
    assert caplog.messages == [bad, well, bad, well]
