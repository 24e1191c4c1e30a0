"""Opening the file for reading: one true state of it, and nothing is left beside it.

Who may write the file opens it as SQLite's writers do, so that readers and writers know of each
other; SQLite then takes its two further files away again. Who may not write it reads a copy.
A file of an earlier schema is read as a copy that was brought up to date, so that all that can be
asked today is answered, and the file stays as it is.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from kerasprov_agent.errors import Unusable
from kerasprov_agent.store import aggregates, database, schema

PATIENCE = 5.0
"""Seconds that a reader waits while another program has the file for itself."""
COPY_TRIES = 50
COPY_PAUSE = 0.1
WAL_HEADER = 32
"""Bytes at the beginning of a log. They hold two random numbers that tell its generations apart."""
STEPS = 100_000
"""So many steps SQLite makes at once: about a millisecond."""
COMPANIONS = ("", "-wal", "-journal")
"""The endings of the files that hold a database's state. A copy takes them in this order."""

text_of = partial(str, encoding="utf-8", errors="backslashreplace")
"""Reads a text of the database. One byte that is no UTF-8 must not cost the row that it is in."""


def open_for_reading(path: str) -> sqlite3.Connection:
    """Open the database without ever making or changing it; raises `Unusable`.

    The connection is in a transaction: all that it reads was true at one moment. What it reads
    may be written on meanwhile.
    """
    if path.startswith(("postgresql:", "postgres:")):
        raise Unusable(
            "that is the address of a central store; make a local copy of it with "
            "`kerasprov pull URL -o team.db`, and name that with --db"
        )
    if not os.path.exists(path):
        raise Unusable(
            f"no database at {path}; record a training with `python -m kerasprov_agent "
            "SCRIPT`, or name another file with --db"
        )
    if os.path.isdir(path):
        raise Unusable(f"{path} is a directory, not a database; name a file with --db")
    ways = (_open_shared, _open_copy) if _may_write(path) else (_open_copy,)
    for way in ways:
        try:
            connection = way(path)
            if database.schema_version(connection, path) == schema.VERSION:
                return connection
            connection.close()
            return _open_copy(path)
        except sqlite3.OperationalError as exc:
            if "locked" in str(exc):
                raise Unusable(f"{path} is locked by another program; try again later") from exc
            problem: Exception = exc
        except OSError as exc:
            problem = exc
    raise Unusable(f"can't read {path}: {problem}") from problem


def copy_to(path: str, target: str) -> None:
    """Write a compact copy of the database as it is at one moment; raises what SQLite raises."""
    with closing(open_for_reading(path)) as connection:
        # SQLite copies in a transaction of its own, and counts the copy as something written.
        connection.execute("COMMIT")
        connection.execute("PRAGMA query_only = OFF")
        connection.execute("VACUUM INTO ?", (target,))


def _may_write(path: str) -> bool:
    """Whether SQLite may make its further files beside the database without harm to its owner.

    Those that somebody else than the owner makes, the owner's trainings could not write.
    """
    true_path = os.path.realpath(path)
    directory = os.path.dirname(true_path)
    if not os.access(true_path, os.W_OK) or not os.access(directory, os.W_OK):
        return False
    if not hasattr(os, "geteuid") or os.geteuid() in (0, os.stat(true_path).st_uid):
        return True
    return all(os.path.exists(true_path + ending) for ending in ("-wal", "-shm"))


def _open_shared(path: str) -> sqlite3.Connection:
    return _begun(_connect(path, "mode=rw"), path)


def _open_copy(path: str) -> sqlite3.Connection:
    """Open a private copy, which goes when the connection is closed."""
    with TemporaryDirectory(prefix="kerasprov-", ignore_cleanup_errors=True) as directory:
        beside = os.path.join(directory, "copy.db")
        _copy(os.path.realpath(path), beside)
        with closing(_connect(beside, "mode=rw")) as connection:
            try:
                # SQLite takes in the log, or rolls back what a crash left half written.
                connection.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.DatabaseError as exc:
                if not isinstance(exc, sqlite3.OperationalError):
                    raise Unusable(database.complaint(path, exc)) from exc
                raise
            if 0 < database.schema_version(connection, path) < schema.VERSION:
                database.migrate(connection, path)
        # An open file outlives its name, and nobody else knows this one: it can't change.
        return _begun(_connect(beside, "immutable=1"), path)


def _connect(path: str, mode: str) -> sqlite3.Connection:
    name = quote(os.fsencode(os.path.abspath(path)))
    return sqlite3.connect(
        f"file://{name}?{mode}", uri=True, timeout=PATIENCE, isolation_level=None
    )


def _begun(connection: sqlite3.Connection, path: str) -> sqlite3.Connection:
    """The connection in a transaction that can only read; raises `Unusable` if it isn't ours."""
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        if database.schema_version(connection, path) == 0:
            raise Unusable(f"{path} holds no record of kerasprov_agent; name another with --db")
    except BaseException:
        connection.close()
        raise
    connection.row_factory = sqlite3.Row
    connection.text_factory = text_of
    aggregates.add(connection)
    # Python sees Ctrl-C only between two of its own steps, and SQLite may take hours over one.
    connection.set_progress_handler(lambda: None, STEPS)
    return connection


def _copy(path: str, target: str) -> None:
    """Copy a database that may be written meanwhile, in one state; raises `Unusable`, OSError.

    A log holds whatever was written from it into the database, until a new one takes its place.
    So the database's copy, which may be of several moments, and the log's later copy together are
    of one, if the log was the same before and after.
    """
    for _ in range(COPY_TRIES):
        before = _state(path)
        for ending in COMPANIONS:
            Path(target + ending).unlink(missing_ok=True)
            try:
                shutil.copyfile(path + ending, target + ending)
            except FileNotFoundError:
                if not ending:
                    raise
        if _state(path) == before:
            return
        time.sleep(COPY_PAUSE)
    raise Unusable(f"{path} is being written all the time; try again later")


def _state(path: str) -> tuple[object, ...]:
    """What stays the same while a copy of a database can be trusted."""
    log = b""
    try:
        with open(f"{path}-wal", "rb") as file:
            log = file.read(WAL_HEADER)
    except FileNotFoundError:
        pass
    if log:
        return (log,)
    return tuple(_stamp(path + ending) for ending in COMPANIONS)


def _stamp(path: str) -> tuple[int, ...] | None:
    try:
        known = os.stat(path)
    except FileNotFoundError:
        return None
    return known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns


def only_questions(connection: sqlite3.Connection) -> None:
    """From now on the connection runs nothing but SELECT: what it is asked, a person wrote.

    A transaction that only reads would still let an ATTACH make a file, and a PRAGMA or a COMMIT
    undo its own protection.
    """
    connection.set_authorizer(_is_question)


def _is_question(action: int, name: str | None, *_others: str | None) -> int:
    is_read = action in _READING or (action == sqlite3.SQLITE_PRAGMA and name in _DESCRIBING)
    return sqlite3.SQLITE_OK if is_read else sqlite3.SQLITE_DENY


_READING = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)
_DESCRIBING = (
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "foreign_key_list",
    "user_version",
    "compile_options",
)
