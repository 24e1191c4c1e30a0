"""Files of earlier schemas open, are brought up to date, and answer as they did."""

from __future__ import annotations

import gzip
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kerasprov_agent.store import database, schema
from tests.conftest import DATA, TINY, clean_environment, kerasprov, recorded, rows

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
    for name, earlier in before.items():
        assert len(after[name]) == len(earlier), name
        for row_after, row_before in zip(after[name], earlier, strict=True):
            kept = {c: row_before[c] for c in row_before if (name, c) not in IN_ROWS_NOW}
            assert row_after.items() >= kept.items(), name
    # What was added is unknown of what was recorded before.
    added = {
        (name, column)
        for name, earlier in before.items()
        for row_after, row_before in zip(after[name], earlier, strict=True)
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
    assert ("train" in listed.stdout or "study" in listed.stdout) and "mae" in shown.stdout
    for view in re.findall(r"CREATE VIEW (\w+)", schema.VIEWS):
        asked = kerasprov("sql", f"SELECT * FROM {view}", "--json", "--db", old)
        assert asked.exit_code == 0, (view, asked.output)
    asked = kerasprov("runs", "--where", "tags is null or run > 0", "--db", old)
    assert asked.exit_code == 0, asked.output
    assert old.read_bytes() == content
    assert [path.name for path in old.parent.iterdir()] == [old.name]


OLDER = """
import kerasprov_agent
from kerasprov_agent.store import database, schema
schema.VERSION -= 1
schema.TABLES = "".join(
    line for line in schema.TABLES.splitlines(keepends=True) if "gpu_source" not in line
)
database.MIGRATIONS = database.MIGRATIONS[:-1]
"""
UNTIL_TOLD = """
import pathlib, time
class Waiting(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            pathlib.Path("trains").touch()
            while not pathlib.Path("go-on").exists():
                time.sleep(0.05)
model.fit(x, y, epochs=6, verbose=0, callbacks=[Waiting()])
model.evaluate(x, y, verbose=0)
"""


def test_two_versions_write_one_file(tmp_path: Path) -> None:
    """A training of the schema before goes on in a file that a newer program brings up to date."""
    (tmp_path / "older.py").write_text(OLDER + TINY + UNTIL_TOLD)
    variables = clean_environment(KERASPROV_PROV="off")
    older = subprocess.Popen([sys.executable, "older.py"], cwd=tmp_path, env=variables)
    try:
        while not (tmp_path / "trains").exists():
            assert older.poll() is None
            time.sleep(0.05)
        path = tmp_path / "kerasprov.db"
        assert rows(path, "PRAGMA user_version") == [{"user_version": schema.VERSION - 1}]
        done = recorded(
            tmp_path, TINY + "model.fit(x, y, epochs=3, verbose=0)", name="newer.py",
            KERASPROV_PROV="off",
        )  # fmt: skip
        assert done.returncode == 0 and b"can't" not in done.stderr, done.stderr.decode()
        assert rows(path, "PRAGMA user_version") == [{"user_version": schema.VERSION}]
        (tmp_path / "go-on").touch()
        assert older.wait(300) == 0
    finally:
        older.kill()
    query = "SELECT status, epochs_finished, script FROM runs ORDER BY run"
    told = [(row["status"], row["epochs_finished"]) for row in rows(path, query)]
    assert told == [("finished", 6), ("finished", 3)]
    assert len(rows(path, "SELECT loss FROM epoch WHERE loss IS NOT NULL")) == 9
    assert len(rows(path, "SELECT loss FROM evaluation WHERE loss IS NOT NULL")) == 1
    assert rows(path, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert {one.name for one in tmp_path.glob("kerasprov*")} == {"kerasprov.db"}
