"""What the README shows is what comes out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.server import ROOT

pytestmark = pytest.mark.slow


def test_the_session_prints_what_stands_below_it(address: str, clips: Path):
    readme = (ROOT / "README.md").read_text()
    session, output = re.search(r"```python\n(.*?)```\s+```text\n(.*?)```", readme, re.S).groups()
    done = subprocess.run(
        [sys.executable, "-c", session.replace("http://127.0.0.1:8000", address)],
        cwd=clips,
        env=os.environ | {"PYTHONPATH": str(ROOT / "client")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (output, "")


def test_every_file_that_the_docs_link_to_is_there():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "client" / "README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}"
