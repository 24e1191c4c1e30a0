"""Every command that docs quote about the central store is run, in the order of the pages."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import kerasprov
from tests.test_quoted import OF_CENTRAL, OF_OWN_TESTS, PAGES, quoted


def test_every_quoted_command_about_it_runs(
    digits: Path, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(digits, tmp_path / "kerasprov.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERASPROV_DB", str(tmp_path / "kerasprov.db"))
    monkeypatch.setenv("KERASPROV_CENTRAL", empty)
    commands = [
        command
        for page in ("docs/central.md", *PAGES)
        if page not in OF_OWN_TESTS
        for command in quoted(page)
        if command.startswith("kerasprov ") and OF_CENTRAL.search(command)
    ]
    assert len(commands) >= 8
    # What makes the store comes first.
    for command in sorted(dict.fromkeys(commands), key=lambda text: "--by-month" not in text):
        command = re.sub(r"postgresql://\S+|\bURL\b", empty, command)
        command = command.replace("/content/drive/MyDrive", str(tmp_path))
        words = shlex.split(command)[1:]
        if "--every" in words:
            ends_by_signal(words, tmp_path)
            continue
        done = kerasprov(*words) if words != ["central"] else kerasprov("central", "--help")
        assert done.exit_code == 0, (command, done.output)
    assert (tmp_path / "team.db").exists() and (tmp_path / "2026-10.parquet").exists()


def ends_by_signal(words: list[str], directory: Path) -> None:
    """Run `pack --every`, which goes on until it is ended, as soon as there is a copy."""
    kept = directory / "kept.db"
    words = [str(kept) if word.endswith("kerasprov.db") else word for word in words]
    command = [sys.executable, "-c", "from kerasprov_agent.cli import main; main()", *words]
    child = subprocess.Popen(command, cwd=directory, env=os.environ)
    end = time.monotonic() + 120
    while not kept.exists():
        assert time.monotonic() < end and child.poll() is None
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    assert child.wait(120) == 0
