"""What git tells of the code."""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest

from kerasprov_agent.capture.describe import code
from tests.conftest import TINY, recorded, row, rows


def git(directory: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=directory, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def repository(directory: Path) -> str:
    """A repository with one commit of `train.py`; returns the commit."""
    git(directory, "init", "-q", "-b", "trunk")
    git(directory, "remote", "add", "origin", "https://me:hunter2@host/repo.git")
    (directory / "train.py").write_text("print(1)\n")
    git(directory, "add", "train.py")
    git(directory, "commit", "-qm", "first")
    return git(directory, "rev-parse", "HEAD")


def test_a_clean_and_a_dirty_repository(tmp_path: Path) -> None:
    commit = repository(tmp_path)
    index = (tmp_path / ".git" / "index").stat().st_mtime_ns
    found = code.git(str(tmp_path))
    assert found == {
        "commit": commit,
        "branch": "trunk",
        "remote": "https://me:[redacted]@host/repo.git",
        "dirty": False,
        "diff": None,
    }
    (tmp_path / "train.py").write_text("print(2)\n")
    found = code.git(str(tmp_path))
    assert found is not None and found["dirty"] and "+print(2)" in found["diff"]
    assert (tmp_path / ".git" / "index").stat().st_mtime_ns == index


def test_what_only_says_that_it_is_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        """As cffi's libraries are, which stand in sys.modules."""

        __class__ = property(lambda self: ModuleType)  # type: ignore[assignment]

    assert isinstance(Library(), ModuleType)
    monkeypatch.setitem(sys.modules, "library.lib", Library())
    found = code.modules((), lambda path: False)
    assert found["tests.describe.test_code"] == __file__ and "library.lib" not in found


def test_no_repository_and_no_commit(tmp_path: Path) -> None:
    assert code.git(str(tmp_path)) is None
    git(tmp_path, "init", "-q")
    found = code.git(str(tmp_path))
    assert found is not None and found["commit"] is None and found["diff"] is None


def test_a_training_in_a_repository(tmp_path: Path) -> None:
    commit = repository(tmp_path)
    assert recorded(tmp_path, TINY + "model.fit(x, y, verbose=0)").returncode == 0
    found = row(tmp_path / "kerasprov.db", "SELECT * FROM execution")
    assert (found["git_commit"], found["git_branch"], found["git_dirty"]) == (commit, "trunk", 1)
    query = "SELECT zlib FROM source WHERE sha256 = ?"
    assert b"+import keras" in zlib.decompress(
        row(tmp_path / "kerasprov.db", query, found["git_diff_sha256"])["zlib"]
    )


@pytest.mark.slow
def test_what_we_write_ourselves_is_no_change(tmp_path: Path) -> None:
    repository(tmp_path)
    (tmp_path / ".git/info/exclude").write_text("ignored.py\n")
    for place in ("results/deep/kerasprov.db", "kerasprov.db", "kerasprov.db"):
        variables = {"KERASPROV_DB": str(tmp_path / place)}
        script = TINY + "model.fit(x, y, verbose=0)"
        done = recorded(tmp_path, script, name="ignored.py", **variables)
        assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "kerasprov.db", "SELECT git_dirty FROM execution")
    # The other database is a file like any other.
    assert found == [{"git_dirty": 1}, {"git_dirty": 1}]
    found = rows(tmp_path / "results/deep/kerasprov.db", "SELECT git_dirty FROM execution")
    assert found == [{"git_dirty": 0}]
    assert git(tmp_path, "status", "--porcelain").splitlines() == ["?? kerasprov.db", "?? results/"]
    (tmp_path / "results/new.txt").write_text("a change")
    own = [str(tmp_path / "kerasprov.db"), str(tmp_path / "results/deep/kerasprov.db")]
    changed = code.git(str(tmp_path), own)
    assert changed is not None and changed["dirty"] and changed["diff"] is None
    (tmp_path / "results/new.txt").unlink()
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "with the databases")
    (tmp_path / "kerasprov.db").write_bytes(b"changed")
    unchanged = code.git(str(tmp_path), own)
    assert unchanged is not None and not unchanged["dirty"] and unchanged["diff"] is None
    # Beside it, what changed is told as git tells it: a renamed file as one.
    git(tmp_path, "mv", "train.py", "[ab].py")
    renamed = code.git(str(tmp_path), own)
    assert renamed is not None and renamed["dirty"]
    assert "rename from train.py\nrename to [ab].py\n" in renamed["diff"]
    assert "kerasprov.db" not in renamed["diff"]
