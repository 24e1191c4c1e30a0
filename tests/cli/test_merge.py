"""Databases of several places become one: by content and id, each thing once."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA, TINY, kerasprov, made_once, recorded, rows

TRAIN = (
    TINY
    + """
import pathlib, sys
text = pathlib.Path("shared.txt").read_text()
model.fit(x, y, epochs=2, verbose=0)
model.evaluate(x, y, verbose=0)
model.save("model.keras")
"""
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two directories, `a` with two programs and `b` with one."""

    def make(place: Path) -> None:
        for name in ("a", "a", "b"):
            (place / name).mkdir(exist_ok=True)
            (place / name / "shared.txt").write_text("the same everywhere")
            done = recorded(place / name, TRAIN)
            assert done.returncode == 0, done.stderr.decode()

    return made_once(tmp_path_factory, "places", make)


def held(database: Path) -> dict[str, list[str]]:
    """All rows of all tables, without the numbers that are a file's own."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        found = {}
        for (table,) in tables:
            numbers = {"number", "run", "manifest", "content", "name" if table == "run" else ""}
            found[table] = sorted(
                json.dumps({k: str(row[k]) for k in dict(row) if k not in numbers})
                for row in connection.execute(f"SELECT * FROM {table}")
            )
        return found


def together(*databases: Path) -> dict[str, list[str]]:
    """What they hold, each thing once where it is stored by its content."""
    found: dict[str, set[str]] = {}
    for database in databases:
        for table, lines in held(database).items():
            found.setdefault(table, set()).update(lines)
    return {table: sorted(lines) for table, lines in found.items()}


def merged(target: Path, *files: Path) -> str:
    done = kerasprov("merge", *files, "--db", target)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def test_two_databases_become_one(places: Path, tmp_path: Path) -> None:
    one, other, target = places / "a/kerasprov.db", places / "b/kerasprov.db", tmp_path / "all.db"
    before = one.read_bytes(), other.read_bytes()
    told = merged(target, one, other)
    assert f"{one}: 2 programs, 2 runs taken in\n" in told and "numbers of the runs: 1 is 3" in told
    assert (one.read_bytes(), other.read_bytes()) == before
    everything = together(one, other)
    assert {table: sorted(set(lines)) for table, lines in held(target).items()} == everything
    assert [one["name"] for one in rows(target, "SELECT name FROM runs ORDER BY run")] == [
        "train", "train-2", "train-3",
    ]  # fmt: skip
    assert len(rows(target, "SELECT * FROM epochs")) == 6
    # Again, and the other way round: nothing more.
    again = merged(target, other, one)
    assert "0 programs, 0 runs taken in, 2 programs were here already" in again
    assert {table: sorted(set(lines)) for table, lines in held(target).items()} == everything
    # What both programs read is the same content, whatever database told of it first.
    found = kerasprov("lineage", places / "b/model.keras", "--format", "json", "--db", target)
    assert found.exit_code == 0 and "run" in found.stdout


def test_a_program_that_still_went_on_is_taken_in_as_it_ended(places: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "going.db", tmp_path / "all.db"
    source.write_bytes((places / "b/kerasprov.db").read_bytes())
    whole = rows(source, "SELECT * FROM epoch")

    def change(statement: str, *values: Any) -> None:
        with closing(sqlite3.connect(source)) as connection, connection:
            connection.execute(statement, values)

    change("UPDATE execution SET status = 'running', ended_at = NULL")
    change("DELETE FROM epoch WHERE epoch = 1")
    merged(target, source)
    assert len(rows(target, "SELECT * FROM epoch")) == len(whole) - 1
    # What it was still earlier takes nothing away.
    change("DELETE FROM epoch")
    assert "1 programs were here already" in merged(target, source)
    assert len(rows(target, "SELECT * FROM epoch")) == len(whole) - 1
    merged(target, places / "b/kerasprov.db")
    assert rows(target, "SELECT * FROM epoch") == whole
    assert rows(target, "SELECT status FROM execution") == [{"status": "finished"}]


def test_an_earlier_schema_is_taken_in(tmp_path: Path) -> None:
    old, target = tmp_path / "old.db", tmp_path / "all.db"
    old.write_bytes(gzip.decompress((DATA / "schema_1.db.gz").read_bytes()))
    before = old.read_bytes()
    merged(target, old)
    assert old.read_bytes() == before
    for view in ("runs", "epochs", "evaluations"):
        assert len(rows(target, f"SELECT * FROM {view}")) == len(rows(old, f"SELECT * FROM {view}"))


@pytest.mark.parametrize("kind", ["none", "text", "itself", "directory"])
def test_what_can_not_be_taken_in_is_one_line(places: Path, tmp_path: Path, kind: str) -> None:
    database = tmp_path / "kerasprov.db"
    database.write_bytes((places / "a/kerasprov.db").read_bytes())
    other = {"none": tmp_path / "none.db", "text": tmp_path / "text.db", "itself": database}.get(
        kind, tmp_path
    )
    if kind == "text":
        other.write_text("some text " * 100)
    before = database.read_bytes()
    done = kerasprov("merge", other, "--db", database)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert database.read_bytes() == before
