"""What has changed in a database since it was last sent somewhere: a log that SQLite itself keeps.

Rows travel in units: a run with its parameters, an entity with its uses. Triggers note each unit
that any program inserts, changes or deletes, with a version that only grows. The log is made when
a database is first sent to a central store; without one no program pays for it.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from typing import NamedTuple

PATIENCE = 5000
"""Milliseconds that making the log waits for a training to let go of the file."""


class Unit(NamedTuple):
    """Rows that travel together: one of the head table, and those that belong to it."""

    head: str
    key: str
    """The column by which the head is known in every file."""
    parts: tuple[tuple[str, str], ...] = ()
    """Further tables, and their columns that hold the head's key."""
    is_shared: bool = False
    """Known by its content: the same in every file, never changed, and deleted nowhere else."""


UNITS = (
    Unit("source", "sha256", is_shared=True),
    Unit("package", "packages_sha256", is_shared=True),
    Unit("architecture", "id", (("layer", "architecture_id"),), is_shared=True),
    Unit("manifest", "sha256", is_shared=True),
    Unit(
        "execution",
        "id",
        (("import", "execution_id"), ("module", "execution_id"), ("cell", "execution_id")),
    ),
    Unit(
        "entity",
        "id",
        tuple((table, "entity_id") for table in ("file", "array", "used", "generated", "derived")),
    ),
    Unit("compile", "id"),
    Unit("search", "id"),
    Unit("trial", "id"),
    Unit(
        "run",
        "id",
        tuple((table, "run_id") for table in ("param", "optimizer", "change", "event", "callback")),
    ),
    Unit("evaluation", "id"),
    Unit("activity", "id"),
)
"""All that travels but epochs. `meta`, `metric` and `unread` are of one file, and stay there."""
EPOCHS, REWRITTEN = "epochs", "rewritten"
"""A run's epochs, by its number in this file: they are only ever added; and by its id, whose epochs
were changed or deleted, so that they have to be sent anew."""

CHANGES = (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD"))
NOW = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
LOG = """
CREATE TABLE outbox (
    kind TEXT NOT NULL,
    id NOT NULL,
    version INTEGER NOT NULL,
    is_deleted INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID
"""


def is_kept(connection: sqlite3.Connection) -> bool:
    """Whether the database keeps a log."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'outbox'"
    return connection.execute(query).fetchone() is not None


def keep(connection: sqlite3.Connection) -> None:
    """Make the log, with all that is there now; nothing is done where there is one already."""
    if is_kept(connection):
        return
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not is_kept(connection):
            connection.execute(LOG)
            connection.execute("CREATE UNIQUE INDEX outbox_seq ON outbox (seq)")
            connection.execute(
                "INSERT OR IGNORE INTO meta VALUES ('store_id', ?)", (str(uuid.uuid4()),)
            )
            for statement in _backlog(connection):
                connection.execute(statement)
            renew(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def renew(connection: sqlite3.Connection) -> None:
    """Make the triggers anew: a migration that makes tables anew loses them."""
    if not is_kept(connection):
        return
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'outbox^_%' ESCAPE '^'"
    ).fetchall()
    for (name,) in names:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in _triggers():
        connection.execute(statement)


def _backlog(connection: sqlite3.Connection) -> Iterator[str]:
    """Note what was there before the log. A version is how much is known of the unit's head.

    So of two copies of a file the one that tells more of a run is the newer one; and whatever is
    changed from now on is newer than both.
    """
    for unit in UNITS:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({unit.head})")]
        known = " + ".join(f'("{name}" IS NOT NULL)' for name in columns)
        yield (
            f"INSERT INTO outbox SELECT '{unit.head}', {unit.key}, max({known}), 0, "
            "(SELECT coalesce(max(seq), 0) FROM outbox) "
            f"+ row_number() OVER (ORDER BY min({_order(unit)})) "
            f"FROM {unit.head} GROUP BY {unit.key}"
        )
    yield (
        "INSERT INTO outbox SELECT 'epochs', run, 1, 0, (SELECT coalesce(max(seq), 0) FROM outbox) "
        "+ row_number() OVER (ORDER BY run) FROM epoch GROUP BY run"
    )


def _order(unit: Unit) -> str:
    return {"run": "number", "execution": "started_at"}.get(unit.head, unit.key)


def _triggers() -> Iterator[str]:
    for unit in UNITS:
        for what, row in CHANGES:
            if what == "DELETE" and unit.is_shared:
                continue
            note = _note(unit.head, f"{row}.{unit.key}", what == "DELETE")
            yield _trigger(unit.head, what, note)
        for table, key in unit.parts:
            for what, row in CHANGES:
                # A part that goes with its head does not bring the head back.
                there = f"EXISTS (SELECT 1 FROM {unit.head} WHERE {unit.key} = {row}.{key})"
                yield _trigger(table, what, _note(unit.head, f"{row}.{key}"), there)
    manifest = "(SELECT sha256 FROM manifest WHERE number = NEW.manifest)"
    yield _trigger("member", "INSERT", _note("manifest", manifest))
    yield _trigger("epoch", "INSERT", _note(EPOCHS, "NEW.run"))
    run = "(SELECT id FROM run WHERE number = OLD.run)"
    for what in ("UPDATE", "DELETE"):
        note = _note(EPOCHS, "OLD.run") + _note(REWRITTEN, run)
        yield _trigger("epoch", what, note, f"{run} IS NOT NULL")


def _trigger(table: str, what: str, note: str, condition: str = "1") -> str:
    return (
        f"CREATE TRIGGER outbox_{table}_{what} AFTER {what} ON {table} "
        f"WHEN {condition} BEGIN {note} END"
    )


def _note(kind: str, key: str, is_deleted: bool = False) -> str:
    """Statements that note a unit: its version grows, and it comes last in the log.

    Two statements without conflicts: the conflict clause of a statement that fires a trigger
    would hold for the trigger's own statements, too.
    """
    known = f"kind = '{kind}' AND id = {key}"
    return (
        f"UPDATE outbox SET version = max({NOW}, version + 1), is_deleted = {int(is_deleted)}, "
        f"seq = (SELECT max(seq) + 1 FROM outbox) WHERE {known}; "
        f"INSERT INTO outbox SELECT '{kind}', {key}, {NOW}, {int(is_deleted)}, n FROM "
        "(SELECT coalesce(max(seq), 0) + 1 AS n FROM outbox) "
        f"WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE {known}); "
    )
