"""What is left of a damaged database is got back, and nothing else."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import kerasprov, rows

PAGE = 4096
MANY = """
    INSERT INTO epoch (run, epoch, started_at, train_seconds, loss)
    WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    SELECT (SELECT min(number) FROM run), i, i, 1, i / 7.0 FROM n
"""


def contents(database: Path) -> dict[str, set[tuple[Any, ...]]]:
    """All rows of all tables."""
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return {
            name: set(connection.execute(f'SELECT * FROM "{name}"').fetchall())
            for (name,) in tables.fetchall()
        }


@pytest.fixture
def large(digits: Path, tmp_path: Path) -> Path:
    """A record of one training with thousands of epochs, in one file."""
    database = tmp_path / "kerasprov.db"
    shutil.copy(digits, database)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(MANY)
        connection.commit()
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
    return database


def salvaged(database: Path) -> tuple[Path, Any]:
    new = database.with_name("new.db")
    before = database.read_bytes()
    done = kerasprov("salvage", "--db", database, "-o", new)
    assert database.read_bytes() == before
    return new, done


def test_a_whole_database_is_copied_whole(large: Path) -> None:
    new, done = salvaged(large)
    assert done.exit_code == 0, done.output
    assert contents(new) == contents(large)
    assert kerasprov("doctor", "--db", new).exit_code == 0
    assert kerasprov("show", "last", "--db", new).exit_code == 0
    again = kerasprov("salvage", "--db", large, "-o", new)
    assert again.exit_code == 2 and "is there already" in again.output


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_page_costs_its_own_rows(large: Path, seed: int) -> None:
    known = contents(large)
    content = bytearray(large.read_bytes())
    chance = random.Random(seed)
    pages = len(content) // PAGE
    # Where epochs are: page by page as they were written, in the latter part of the file.
    with closing(sqlite3.connect(large)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'epoch'"
        ).fetchone()
    leaves = [page for page in range(root, pages) if content[page * PAGE] in (10, 13)]
    for page in chance.sample(leaves[:60], 3):
        content[page * PAGE : (page + 1) * PAGE] = chance.randbytes(PAGE)
    large.write_bytes(content)
    done = kerasprov("doctor", "--db", large)
    assert done.exit_code in (1, 2)

    new, done = salvaged(large)
    found = contents(new)
    assert done.exit_code == (found != known), done.output
    assert ("Rows are lost of" in done.output) == (found != known)
    lost = done.output.partition("Rows are lost of ")[2].strip(". \n").split(", ")
    for table, whole in known.items():
        assert found[table] <= whole, table
        assert table in lost or found[table] == whole, table
    assert len(found["epoch"]) > 0.9 * len(known["epoch"])
    assert rows(new, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert kerasprov("runs", "--db", new).exit_code == 0


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_damaged_nothing_is_invented(large: Path, seed: int) -> None:
    known = contents(large)
    content = bytearray(large.read_bytes())
    chance = random.Random(seed)
    for page in chance.sample(range(1, 40), 2):  # where all other tables are
        content[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    large.write_bytes(content)
    new, done = salvaged(large)
    if done.exit_code == 2:
        assert done.output.count("\n") == 1 and not new.exists()
        return
    found = contents(new)
    assert found.keys() == known.keys()
    for table, whole in known.items():
        assert found[table] <= whole, table
    assert done.exit_code == 1 or found == known, done.output
    assert rows(new, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]


def test_what_can_not_be_got_back_is_one_line(large: Path, tmp_path: Path) -> None:
    content = large.read_bytes()
    large.write_bytes(content[:100] + bytes(PAGE - 100) + content[PAGE:])
    new, done = salvaged(large)
    assert done.exit_code == 2 and done.output.count("\n") == 1 and not new.exists()
    (tmp_path / "other.db").write_text("no database")
    new, done = salvaged(tmp_path / "other.db")
    assert done.exit_code == 2 and done.output.count("\n") == 1 and not new.exists()
    new, done = salvaged_missing(tmp_path)
    assert done.exit_code == 2 and "there is no file" in done.output


def salvaged_missing(folder: Path) -> tuple[Path, Any]:
    new = folder / "new.db"
    return new, kerasprov("salvage", "--db", folder / "none.db", "-o", new)
