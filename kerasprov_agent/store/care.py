"""Looking after a database: is it whole, a copy to hand on, names, tags, notes, deletion."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from kerasprov_agent import replacing
from kerasprov_agent.errors import KerasProvError, Unusable
from kerasprov_agent.store import (
    copying,
    database,
    filesystem,
    liveness,
    reading,
    removal,
    schema,
    spool,
)
from kerasprov_agent.store.text import as_json, bindable
from kerasprov_agent.store.writer import Writer

KEEPING_PAUSE = 1.0
MAKING_SECONDS = 60.0
"""So long a file that a training has just begun may hold no record yet."""
EDIT_PATIENCE = 10_000
"""Milliseconds that a person waits for a training to let go of the file."""

Finding = dict[str, Any]


def examine(path: str) -> list[Finding]:
    """Check a database: rows of `check`, `ok` and `found`. Changes nothing."""
    with closing(reading.open_for_reading(path)) as connection:
        problems = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        lost = [
            row["label"]
            for row in connection.execute("SELECT * FROM execution WHERE status = 'running'")
            if liveness.is_gone(row)
        ]
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        runs = connection.execute("SELECT count(*) FROM run").fetchone()[0]
    shared, waiting = filesystem.is_shared(path), spool.waiting(path)
    rejected = spool.rejected(path)
    version = sqlite3.sqlite_version
    return [
        _finding("integrity", problems == ["ok"], "; ".join(problems[:5])),
        _finding("schema", True, f"version {schema.VERSION}, {runs} runs"),
        _finding("SQLite", sqlite3.sqlite_version_info >= (3, 25), version),
        _finding(
            "journal",
            not (shared and mode == "wal"),
            f"{mode} on a {'network' if shared else 'local'} file system",
        ),
        _finding("spool", not waiting, ", ".join(waiting) or "nothing waits"),
        _finding("rejected", not rejected, ", ".join(rejected) or "nothing was set aside"),
        _finding("lost", not lost, ", ".join(lost) or "no program vanished unnoticed"),
    ]


def _finding(check: str, ok: bool, finding: str) -> Finding:
    return {"check": check, "ok": ok, "found": finding}


def mend(path: str) -> None:
    """Take in what waits in spool files, and mark what ran in processes that are gone as lost."""
    with closing(reading.open_for_reading(path)):
        pass  # it is there, and ours
    writer = Writer(path, "doctor")
    writer.write(())
    writer.close()


def pack(path: str, target: str) -> None:
    """Copy a database into one compact file, also while it is written. Raises `KerasProvError`."""
    if os.path.exists(target):
        raise KerasProvError(f"{target} is there already; name a file that is not")
    try:
        with replacing.replaced(target) as beside:
            reading.copy_to(path, beside)
    except sqlite3.DatabaseError as exc:
        raise KerasProvError(f"can't write {target}: {exc}") from exc


def keep_packed(path: str, target: str, seconds: float, goes_on: Callable[[], bool]) -> None:
    """Keep a packed copy up to date, looking every so many seconds, until `goes_on` is false.

    The copy is made on this machine and takes the place of the last one when it is whole: so
    `target` may lie on a drive that is mounted over a network, where no database should be written.
    Raises what SQLite raises, OSError, `Unusable` of a file that is none of ours; a file that a
    training is just making is waited for.
    """
    seen: object = None
    again = 0.0
    patient_until = time.monotonic() + MAKING_SECONDS
    while True:
        ends = not goes_on()
        state = _stamps(path)
        if (ends or time.monotonic() >= again) and state != seen and os.path.exists(path):
            try:
                _pack_over(path, target)
            except Unusable:
                if ends or time.monotonic() > patient_until:
                    raise
            else:
                seen, again = state, time.monotonic() + seconds
        if seen is None and not os.path.exists(path):
            patient_until = time.monotonic() + MAKING_SECONDS
        if ends:
            return
        time.sleep(min(seconds, KEEPING_PAUSE))


def _pack_over(path: str, target: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = os.path.join(folder, "copy.db")
        reading.copy_to(path, whole)
        with replacing.replaced(target) as beside:
            shutil.copyfile(whole, beside)


def _stamps(path: str) -> list[tuple[int, int] | None]:
    stamps: list[tuple[int, int] | None] = []
    for name in (path, f"{path}-wal"):
        try:
            known = os.stat(name)
        except FileNotFoundError:
            stamps.append(None)
        else:
            stamps.append((known.st_size, known.st_mtime_ns))
    return stamps


class Merged(NamedTuple):
    """What became of another database: its runs' numbers there and here, and what was here."""

    programs: int
    runs: dict[int, int]
    known: int


def merge(path: str, other: str, only: Collection[str] | None = None) -> Merged:
    """Take in the programs of another database that are not here yet, each with all it has.

    `only`: the ids of the executions that are taken in; by default all.
    What was taken in while it still went on is replaced by what it has become since, never by what
    it was before. `path` is made where there is none, `other` stays as it is. Raises
    `KerasProvError`, `Unusable`.
    """
    if os.path.exists(path) and os.path.samefile(path, other):
        raise KerasProvError(f"{other} is the database itself; name another file")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy.db")
        reading.copy_to(other, copy)
        # Of an earlier schema, it is brought up to date here.
        with closing(database.open_for_writing(copy)) as source, adding(path) as target:
            return _merged(source, target, only)


def _merged(
    source: sqlite3.Connection, target: sqlite3.Connection, only: Collection[str] | None
) -> Merged:
    programs, known, runs = 0, 0, dict[int, int]()
    query = "SELECT id FROM execution ORDER BY started_at"
    for (execution_id,) in source.execute(query).fetchall():
        if only is not None and execution_id not in only:
            continue
        here = _progress(target, execution_id)
        if here is not None and here >= (_progress(source, execution_id) or here):
            known += 1
            continue
        if here is not None:
            removal.delete_execution(target, execution_id)
        runs |= copying.copy_within(source, target, execution_id)
        programs += 1
    return Merged(programs, runs, known)


def _progress(connection: sqlite3.Connection, execution_id: str) -> tuple[bool, int] | None:
    """How complete a program's record is: has it ended, how many epochs; None: not there."""
    query = (
        "SELECT status <> 'running', (SELECT count(*) FROM epoch p JOIN run r ON r.number = p.run "
        "WHERE r.execution_id = e.id) FROM execution e WHERE id = ?"
    )
    row = connection.execute(query, (execution_id,)).fetchone()
    return row and (bool(row[0]), row[1])


def rename(path: str, run_id: str, name: str) -> None:
    """Give a run another name; raises `KerasProvError` where another run has it."""
    if not name.strip():
        raise KerasProvError("the name is empty")
    name = bindable(name)
    with _editing(path) as connection:
        taken = connection.execute(
            "SELECT number FROM run WHERE name = ? AND id <> ?", (name, run_id)
        ).fetchone()
        if taken:
            raise KerasProvError(f"run {taken[0]} is called {name!r} already")
        connection.execute("UPDATE run SET name = ? WHERE id = ?", (name, run_id))


def note(path: str, run_id: str, text: str) -> None:
    """Keep what a person says of a run; an empty text takes it out."""
    with _editing(path) as connection:
        connection.execute(
            "UPDATE run SET note = ? WHERE id = ?", (bindable(text.strip()) or None, run_id)
        )


def delete(path: str, run_ids: Sequence[str]) -> None:
    """Take runs out of a database, with all that only they need; raises `KerasProvError`."""
    with _editing(path) as connection:
        removal.delete_runs(connection, run_ids)


def tag_run(path: str, run_id: str, tags: Mapping[str, str | None]) -> None:
    """Set tags of one run; None takes a tag out, also one of its program."""
    _tag(path, "run", run_id, tags)


def tag_program(path: str, execution_id: str, tags: Mapping[str, str | None]) -> None:
    """Set tags of a program, which all its runs have; None takes a tag out."""
    _tag(path, "execution", execution_id, tags)


def _tag(path: str, table: str, row_id: str, tags: Mapping[str, str | None]) -> None:
    with _editing(path) as connection:
        query = f"SELECT tags FROM {table} WHERE id = ?"
        stored = json.loads(connection.execute(query, (row_id,)).fetchone()[0] or "{}")
        # That a run has none of a tag is kept: it may be one of the program's.
        merged = {k: v for k, v in {**stored, **tags}.items() if v is not None or table == "run"}
        text = bindable(as_json(merged)) if merged else None
        connection.execute(f"UPDATE {table} SET tags = ? WHERE id = ?", (text, row_id))


@contextmanager
def _editing(path: str) -> Iterator[sqlite3.Connection]:
    """A transaction on a database that is there; all or nothing. Raises `KerasProvError`."""
    with closing(reading.open_for_reading(path)):
        pass  # opening it for writing would make it
    with adding(path) as connection:
        yield connection


@contextmanager
def adding(path: str) -> Iterator[sqlite3.Connection]:
    """A transaction on a database, made if need be; all or nothing. Raises `KerasProvError`."""
    try:
        with closing(database.open_for_writing(path)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {EDIT_PATIENCE}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
    except sqlite3.OperationalError as exc:
        raise KerasProvError(f"can't write {path}: {exc}") from exc
