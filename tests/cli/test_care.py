"""`kerasprov doctor`, `pack`, `rename`, `tag`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kerasprov_agent.cli import main
from kerasprov_agent.errors import Unusable
from kerasprov_agent.store import care
from tests.conftest import TINY, clean_environment, row, rows
from tests.test_conditions import three

__all__ = ["three"]


def kerasprov(*words: str | Path) -> Any:
    return CliRunner().invoke(main, list(map(str, words)))


@pytest.fixture
def own(three: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copy(three, tmp_path / "own.db"))


def findings(path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = kerasprov("doctor", "--json", *options, "--db", path)
    return done.exit_code, {one["check"]: one for one in json.loads(done.stdout)}


def test_a_healthy_database(own: Path) -> None:
    before = own.read_bytes()
    status, found = findings(own)
    assert status == 0 and all(one["ok"] for one in found.values())
    assert "3 runs" in found["schema"]["found"] and "local" in found["journal"]["found"]
    assert own.read_bytes() == before and list(own.parent.iterdir()) == [own]


def test_what_is_broken_is_found(own: Path) -> None:
    with open(own, "r+b") as file:
        file.seek(os.path.getsize(own) // 2)
        file.write(os.urandom(8192))
    done = kerasprov("doctor", "--db", own)
    assert done.exit_code in (1, 2) and "Traceback" not in done.output


def test_a_program_that_was_killed_and_a_spool_are_mended(tmp_path: Path) -> None:
    """Killed while another process held the database, so that its epochs waited in a spool."""
    script = TINY + (
        "import time\nclass Slow(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None): time.sleep(0.1)\n"
        "model.fit(x, y, epochs=500, verbose=0, callbacks=[Slow()])"
    )
    (tmp_path / "train.py").write_text(script)
    command = [sys.executable, "-m", "kerasprov_agent", "train.py"]
    child = subprocess.Popen(
        command, cwd=tmp_path, env=clean_environment(), stderr=subprocess.DEVNULL
    )
    path = tmp_path / "kerasprov.db"
    try:
        until = time.monotonic() + 120
        while not (path.exists() and _epochs(path)) and time.monotonic() < until:
            time.sleep(0.1)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            while not list(tmp_path.glob("*.spool-*")) and time.monotonic() < until:
                time.sleep(0.1)
            time.sleep(0.5)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            other.execute("ROLLBACK")
    finally:
        child.kill()
        child.wait()
    before = _epochs(path)
    status, found = findings(path)
    assert status == 1 and not found["spool"]["ok"] and not found["lost"]["ok"]
    status, found = findings(path, "--mend")
    assert status == 0 and all(one["ok"] for one in found.values())
    assert _epochs(path) > before and not list(tmp_path.glob("*.spool-*"))
    assert row(path, "SELECT status FROM run")["status"] == "lost"


def _epochs(path: Path) -> int:
    try:
        return int(rows(path, "SELECT count(*) AS n FROM epoch")[0]["n"])
    except sqlite3.Error:
        return 0


def test_pack(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    assert kerasprov("pack", "-o", target, "--db", own).exit_code == 0
    query = "SELECT * FROM epochs ORDER BY run, epoch"
    assert rows(target, query) == rows(own, query)
    assert kerasprov("runs", "--db", target).exit_code == 0
    before = target.read_bytes()
    again = kerasprov("pack", "-o", target, "--db", own)
    assert (again.exit_code, again.stderr.count("\n")) == (2, 1) and target.read_bytes() == before
    nowhere = kerasprov("pack", "-o", tmp_path / "no" / "where.db", "--db", own)
    assert (nowhere.exit_code, nowhere.stderr.count("\n")) == (2, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "own.db"]


def test_rename(own: Path) -> None:
    assert kerasprov("rename", "2", "the good one", "--db", own).exit_code == 0
    assert row(own, "SELECT number FROM run WHERE name = 'the good one'")["number"] == 2
    for words in (("1", "the good one"), ("1", " "), ("nonsense", "x")):
        done = kerasprov("rename", *words, "--db", own)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


def test_tags(own: Path) -> None:
    def tag(*words: str, run: str = "last") -> str:
        return str(kerasprov("tag", run, *words, "--db", own).stdout)

    assert tag("team=a", "kept=1=2", "--program") == "team=a, kept=1=2\n"
    assert tag("team=", "new=ü", "--program") == "kept=1=2, new=ü\n"
    assert json.loads(row(own, "SELECT tags FROM execution")["tags"]) == {"kept": "1=2", "new": "ü"}
    assert tag() == tag(run="1") == "kept=1=2, new=ü\n"
    assert tag("fold=3", "new=") == "kept=1=2, fold=3\n"  # of this run alone
    assert tag(run="1") == tag("--program") == "kept=1=2, new=ü\n"
    listed = kerasprov("runs", "--where", "tag.fold = 3", "--columns", "tag.new", "--json",
                       "--db", own).stdout  # fmt: skip
    assert [one["tag.new"] for one in json.loads(listed)] == [None]
    assert re.search(
        r"^tags +kept=1=2, fold=3 *$", kerasprov("show", "last", "--db", own).stdout, re.M
    )
    assert tag("kept=", "new=", "--program") == "no tags\n"
    assert tag("fold=") == "no tags\n"
    assert row(own, "SELECT tags FROM execution")["tags"] is None
    done = kerasprov("tag", "last", "novalue", "--db", own)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("words", [("doctor",), ("doctor", "--mend"), ("rename", "1", "x"),
                                   ("tag", "1", "a=b"), ("pack", "-o", "x.db")])  # fmt: skip
def test_nothing_is_made_where_there_is_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = kerasprov(*words, "--db", tmp_path / "none.db")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert not list(tmp_path.iterdir())


def test_sqlite_utils_reads_the_file(digits: Path) -> None:
    words = ["sqlite-utils", "rows", "kerasprov.db", "runs", "--table"]
    command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
    done = subprocess.run(command, cwd=digits.parent, capture_output=True, text=True, check=True)
    assert "Adam" in done.stdout and "learning_rate" in done.stdout


def test_copies_wait_for_a_file_that_is_just_being_made(tmp_path: Path, digits: Path) -> None:
    """The copying begins before the training does, as in a notebook, and meets half a file."""
    path, target = tmp_path / "kerasprov.db", tmp_path / "copy.db"
    path.touch()
    looks = 0

    def goes_on() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            assert not target.exists()
            shutil.copy(digits, path)
        return looks < 4

    care.keep_packed(str(path), str(target), 3600, goes_on)
    assert rows(target, "SELECT loss FROM epoch") == rows(path, "SELECT loss FROM epoch")
    (tmp_path / "empty.db").touch()
    with pytest.raises(Unusable):
        care.keep_packed(str(tmp_path / "empty.db"), str(target), 3600, lambda: False)
