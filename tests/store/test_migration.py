"""Files of earlier schemas open, are brought up to date, and answer as they did."""

from __future__ import annotations

import gzip
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.store import database, schema
from tests.conftest import DATA, kerasprov

OLD = sorted(DATA.glob("schema_*.db.gz"))

IN_ROWS_NOW = {("manifest", "entries")}
"""What stands in rows of another table; the views tell of it as before."""
TOLD_BEFORE = {("file", "written_at"), ("manifest", "number")}
"""What new columns know from other columns."""


@pytest.fixture(params=OLD, ids=[path.name.removesuffix(".db.gz") for path in OLD])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file as that schema's program left it."""
    path = tmp_path / "kerasprov.db"
    path.write_bytes(gzip.decompress(request.param.read_bytes()))
    return path


def answers(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all views and tables."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    names = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    found = {
        name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]
        for (name,) in names.fetchall()
    }
    connection.close()
    return found


def test_every_earlier_schema_has_a_file() -> None:
    assert [path.name for path in OLD] == [
        f"schema_{version}.db.gz" for version in range(1, schema.VERSION)
    ]


def test_it_answers_as_it_did(old: Path) -> None:
    before = answers(old)
    assert before["runs"] and before["epochs"] and before["evaluations"] and before["files"]
    database.open_for_writing(str(old)).close()
    after = answers(old)
    for name, rows in before.items():
        assert len(after[name]) == len(rows), name
        for row_after, row_before in zip(after[name], rows, strict=True):
            kept = {c: row_before[c] for c in row_before if (name, c) not in IN_ROWS_NOW}
            assert row_after.items() >= kept.items(), name
    # What was added is unknown of what was recorded before.
    added = {
        (name, column)
        for name, rows in before.items()
        for row_after, row_before in zip(after[name], rows, strict=True)
        for column in row_after.keys() - row_before.keys()
        if row_after[column] is not None
    }
    assert added <= TOLD_BEFORE


def test_it_has_the_schema_of_a_new_file(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    for path in (old, new):
        database.open_for_writing(str(path)).close()
    schemas = []
    for path in (old, new):
        connection = sqlite3.connect(path)
        objects = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
        columns = {
            name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
            for kind, name in objects
            if kind in ("table", "view") and name not in ("epoch", "evaluation")
            and not name.startswith("sqlite_") and name not in ("epochs", "evaluations", "steps", "ds_otrainingmodel")
        }  # fmt: skip
        views = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
        schemas.append((sorted(objects), columns, views))
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.close()
        assert version == schema.VERSION
    assert schemas[0] == schemas[1]


@pytest.mark.parametrize("mode", [0o444, 0o644])
def test_it_is_read_as_it_is(old: Path, mode: int) -> None:
    """A reader changes nothing in the file, and answers all that can be asked today."""
    content = old.read_bytes()
    old.chmod(mode)
    listed = kerasprov("runs", "--db", old)
    shown = kerasprov("show", "last", "--db", old)
    assert listed.exit_code == shown.exit_code == 0, listed.output + shown.output
    assert "train" in listed.stdout and "mae" in shown.stdout
    for view in re.findall(r"CREATE VIEW (\w+)", schema.VIEWS):
        asked = kerasprov("sql", f"SELECT * FROM {view}", "--json", "--db", old)
        assert asked.exit_code == 0, (view, asked.output)
    asked = kerasprov("runs", "--where", "tags is null or run > 0", "--db", old)
    assert asked.exit_code == 0, asked.output
    assert old.read_bytes() == content
    assert [path.name for path in old.parent.iterdir()] == [old.name]
