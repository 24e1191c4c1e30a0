"""Opening the file for writing: making or migrating it first. `reading` opens it for reading."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable

from kerasprov_agent.errors import Unusable
from kerasprov_agent.store import filesystem, schema
from kerasprov_agent.store.operations import add_manifest

WRITE_PATIENCE = 0.05
"""Seconds that a training waits for another writer before it spools."""
MAGIC = b"SQLite format 3\0"
START_PATIENCE = 5.0
"""Seconds to wait while another process makes or migrates the file."""


def _create(connection: sqlite3.Connection) -> None:
    for statement in statements(schema.TABLES):
        connection.execute(statement)


def _add_original_hashes(connection: sqlite3.Connection) -> None:
    """Texts in which secrets are blanked out have another hash than what they were made from."""
    for table, column in (
        ("execution", "script_original_sha256"), ("execution", "git_diff_original_sha256"),
        ("module", "original_sha256"), ("cell", "original_sha256"),
    ):  # fmt: skip
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        if column not in columns:  # a new file has it
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT")


def _make_members_rows(connection: sqlite3.Connection) -> None:
    """The members of a set were one JSON text, and which files were written stood elsewhere."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(manifest)")]
    if "entries" not in columns:  # a new file
        return
    connection.execute("ALTER TABLE file ADD COLUMN written_at TEXT")
    connection.execute(
        "UPDATE file SET written_at = (SELECT at FROM generated g WHERE g.entity_id = "
        "file.entity_id)"
    )
    connection.execute("DROP INDEX file_sha256")
    # SQLite would rewrite the views of a person where a table that they name were renamed.
    connection.execute("CREATE TEMP TABLE manifest_before AS SELECT * FROM main.manifest")
    connection.execute("DROP TABLE main.manifest")
    _create_missing(connection)
    for sha256, files, entries in connection.execute(
        "SELECT sha256, files, entries FROM manifest_before ORDER BY rowid"
    ):
        add_manifest(connection, {"sha256": sha256, "files": files, "entries": entries})
    connection.execute("DROP TABLE temp.manifest_before")


def _create_missing(connection: sqlite3.Connection) -> None:
    """Make the tables, indexes and triggers of today's schema that are not there."""
    names = {row[0] for row in connection.execute("SELECT name FROM main.sqlite_master")}
    for statement in statements(schema.TABLES):
        if re.findall(r"^CREATE \w+ (\w+)", statement, re.MULTILINE)[0] not in names:
            connection.execute(statement)


def _know_more_of_runs_and_imports(connection: sqlite3.Connection) -> None:
    """Tags of runs, what imports leave out; of an imported search less may be known."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(run)")]
    if "tags" in columns:  # a new file
        return
    connection.execute("ALTER TABLE run ADD COLUMN tags TEXT")
    for column in ("left_out TEXT", "digest TEXT", "amount INTEGER", "covers TEXT"):
        connection.execute(f"ALTER TABLE import ADD COLUMN {column}")
    for table in ("trial", "search"):
        connection.execute(f"CREATE TEMP TABLE {table}_before AS SELECT * FROM main.{table}")
        connection.execute(f"DROP TABLE main.{table}")
    _create_missing(connection)
    for table in ("search", "trial"):
        connection.execute(f"INSERT INTO main.{table} SELECT * FROM {table}_before")
        connection.execute(f"DROP TABLE temp.{table}_before")


def _change_no_table(connection: sqlite3.Connection) -> None:
    """Schema 5 has further views, and views are made anew after every migration."""


def _know_the_source_of_gpu_times(connection: sqlite3.Connection) -> None:
    """How exact the busy seconds of an epoch are depends on what told of them."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(epoch)")]
    if "gpu_source" not in columns:  # a new file has it
        connection.execute("ALTER TABLE epoch ADD COLUMN gpu_source TEXT")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _create, _add_original_hashes, _make_members_rows,
    _know_more_of_runs_and_imports, _change_no_table, _know_the_source_of_gpu_times,
)  # fmt: skip
"""Tables from version n to n + 1; only ever added to, and none loses what the file tells."""
assert len(MIGRATIONS) == schema.VERSION


def in_memory() -> sqlite3.Connection:
    """An empty database of the present schema that lies in memory, for any thread."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _create(connection)
    _make_views(connection)
    return connection


def statements(script: str) -> list[str]:
    """Cut a script into its statements: `executescript` would commit in between."""
    parts, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            parts.append(current.strip())
            current = ""
    return parts


def open_for_writing(path: str) -> sqlite3.Connection:
    """Open the database for the recorder, made and migrated if need be.

    Raises `Unusable` for what will not get better (a directory, another program's file, a newer
    schema) and `sqlite3.Error` or `OSError` for what may (locked, unwritable, full).
    """
    if os.path.isdir(path):
        raise Unusable(f"the database {path} is a directory; set KERASPROV_DB to a file")
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    connection = sqlite3.connect(
        path, timeout=WRITE_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        if schema_version(connection, path) < schema.VERSION:
            _wait_at_most(connection, START_PATIENCE)
            migrate(connection, path)
        _set_journal(connection, path)
        _wait_at_most(connection, WRITE_PATIENCE)
    except BaseException:
        connection.close()
        raise
    return connection


def _wait_at_most(connection: sqlite3.Connection, seconds: float) -> None:
    connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


def schema_version(connection: sqlite3.Connection, path: str) -> int:
    """The schema version of the file, 0 for an empty one; raises `Unusable` if it isn't ours."""
    try:
        # In this order: another process may make the file ours between one look and the next.
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as exc:
        raise Unusable(complaint(path, exc)) from exc
    if application != schema.APPLICATION_ID and (tables or version):
        raise Unusable(
            f"{path} is the database of another program; set KERASPROV_DB (or --db) to another"
        )
    if version > schema.VERSION:
        raise Unusable(
            f"{path} was written by a newer kerasprov_agent (schema {version}, this one knows "
            f"{schema.VERSION}); upgrade with `pip install -U kerasprov_agent`"
        )
    return version if application == schema.APPLICATION_ID else 0


def damaged(what: str, problem: sqlite3.DatabaseError) -> str:
    """What a person may do whose database is damaged."""
    return (
        f"{what} is damaged ({problem}); keep a copy, and get back what is left with `kerasprov "
        "salvage -o NEW.db`, or set KERASPROV_DB (or --db) to another"
    )


def complaint(path: str, problem: sqlite3.DatabaseError) -> str:
    """Why a file that SQLite can't make sense of can't be used."""
    with open(path, "rb") as file:
        is_damaged = file.read(len(MAGIC)) == MAGIC
    if is_damaged:
        return damaged(path, problem)
    return f"{path} is no SQLite database; set KERASPROV_DB (or --db) to another"


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the file up to date, all or nothing; of several processes the first one does it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in MIGRATIONS[schema_version(connection, path) :]:
            migration(connection)
        _renew_log(connection)
        _make_views(connection)
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _renew_log(connection: sqlite3.Connection) -> None:
    """Tables that were made anew have lost the triggers that note what is to be sent."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'outbox'"
    if connection.execute(query).fetchone() is not None:
        from kerasprov_agent.store import outbox  # no training loads it that does not send

        outbox.renew(connection)


def _make_views(connection: sqlite3.Connection) -> None:
    """Views hold nothing of their own: those of an earlier version give way to today's."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
    ours = set(re.findall(r"CREATE VIEW (\w+)", schema.VIEWS))
    for (name,) in names:
        if name in ours:
            connection.execute(f"DROP VIEW {name}")
    for statement in statements(schema.VIEWS):
        connection.execute(statement)


def _set_journal(connection: sqlite3.Connection, path: str) -> None:
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if filesystem.is_shared(path):
        if mode == "wal":
            connection.execute("PRAGMA journal_mode = DELETE")
    elif mode != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA journal_size_limit = 16777216")
