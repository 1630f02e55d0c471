"""The reader of the checklist, and that the checklist is one that can be read."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.compose.blocks import blocks, crontab_lines, differs

ROOT = Path(__file__).resolve().parents[2]
CHECKLIST = (ROOT / "DEPLOYMENT_CHECKLIST.md").read_text(encoding="utf-8")
PAGE = """# Page
## First
```bash
echo one
```

```text
one
```
Words.
```bash
echo two
```
More words.
```text
not an answer to it
```
## Second
<!-- not tested: takes a year -->
```bash
sleep 1y
```
```yaml
a: 1
```
```crontab
0 2 * * * date +\\%Y | cat
*/5 * * * * true
```
"""


def test_blocks_of_a_page() -> None:
    first, second, third = blocks(PAGE)
    assert (first.heading, first.line, first.commands, first.expected, first.excuse) == (
        "First", 3, "echo one\n", "one\n", None,
    )  # fmt: skip
    assert (second.commands, second.expected, second.excuse) == ("echo two\n", None, None)
    assert (third.heading, third.expected, third.excuse) == ("Second", None, "takes a year")
    assert crontab_lines(PAGE) == ["date +%Y | cat", "true"]


@pytest.mark.parametrize(
    ("expected", "printed", "fits"),
    [
        ("one\ntwo\n", "one\ntwo\n", True),
        ("one  \n", "one\n\n", True),
        ("one\n", "one\ntwo\n", False),
        ("one\ntwo\n", "one\n", False),
        ("one\n", "One\n", False),
        ("", "", True),
        ("", "one\n", False),
        ("a...z\n", "abcz\n", True),
        ("a...z\n", "az\n", True),
        ("a...z\n", "abc\n", False),
        ("a.c\n", "abc\n", False),
        ("...\nlast\n", "last\n", True),
        ("...\nlast\n", "one\ntwo\nlast\n", True),
        ("...\nlast\n", "last\nmore\n", False),
        ("one\n...\n", "one\n", True),
        ("one\n...\nthree\n...\nfive\n", "one\n2\nthree\nthree\n4\nfive\n", True),
        ("one\n...\nthree\n...\nfive\n", "one\nfive\nthree\n", False),
    ],
)
def test_what_is_printed_is_compared(expected: str, printed: str, fits: bool) -> None:
    assert (differs(expected, printed) is None) == fits


def test_the_checklist_tells_of_every_command_what_it_prints_or_why_it_is_not_typed() -> None:
    found = blocks(CHECKLIST)
    assert len(found) > 35
    for block in found:
        assert (block.expected is None) == (block.excuse is not None), str(block)
    # An excuse is the exception: who adds one changes this number.
    assert sum(block.excuse is not None for block in found) == 6
    assert len(crontab_lines(CHECKLIST)) == 5


@pytest.mark.parametrize("whole", [True, False])
def test_the_crontab_notes_a_whole_backup_and_tells_of_any_other(
    tmp_path: Path, whole: bool
) -> None:
    _, backup, forget, look, _ = (
        line.replace("/backups", str(tmp_path)) for line in crontab_lines(CHECKLIST)
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    scripts = {
        "pg_dump": "echo '-- PostgreSQL database dump complete'" if whole else "exit 1",
        "psql": f'echo "$*" >{tmp_path}/said',
        "notify_alert": f'echo "$*" >{tmp_path}/told',
    }
    for name, text in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    names = {"stacklens_20250101.sql.gz": 32, "stacklens_20250102.sql.gz": 20}
    for name, age_days in names.items():
        (tmp_path / name).touch()
        past = time.time() - age_days * 86_400
        os.utime(tmp_path / name, (past, past))
    for line in (backup, forget, look):
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env={"PATH": f"{programs}:/usr/bin:/bin"},
            capture_output=True,
            check=True,
        )
        assert (done.stdout, done.stderr) == (b"", b"")
    made = time.strftime("stacklens_%Y%m%d.sql.gz")
    left = {path.name for path in tmp_path.glob("stacklens_*")}
    kept = {"stacklens_20250102.sql.gz"}
    if whole:
        assert left == {made, *kept}
        size = (tmp_path / made).stat().st_size
        assert f"VALUES ('{made}', {size})" in (tmp_path / "said").read_text()
        assert not (tmp_path / "told").exists()
    else:
        assert left == {f"{made}.failed", *kept}
        assert (tmp_path / "told").read_text() == "the backup of last night failed\n"
        assert not (tmp_path / "said").exists()


def test_the_checklist_s_blocks_depend_on_no_variable_of_another() -> None:
    """Variables that a block uses are set in the same block (or are the shell's own)."""
    for block in blocks(CHECKLIST):
        used = set(
            re.findall(r"(?<![\\$])\$\{?([A-Za-z_]\w*)", re.sub(r"'[^']*'", "", block.commands))
        )
        made = set(re.findall(r"(?:^|\s)(?:export )?(\w+)=", block.commands))
        made |= set(re.findall(r"\bfor (\w+) in\b", block.commands))
        assert used - made <= {"HOME", "PWD", "TZ"}, str(block)


def test_the_checklist_s_blocks_leave_no_password_to_others() -> None:
    """Neither to later lines of the shell (libpq takes PGPASSWORD before ~/.pgpass) nor to whoever reads `ps`."""
    for block in blocks(CHECKLIST):
        assert "export PGPASSWORD" not in block.commands, str(block)
        assert not re.search(r"-e \w*PASSWORD=", block.commands), str(block)
