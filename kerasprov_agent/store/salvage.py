"""Getting back what is left of a damaged database, table by table, into a new file.

SQLite keeps rows in pages. A page that is damaged costs its own rows; those before and after it are
read by asking for them by their keys, from both sides.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.replacing import replaced
from kerasprov_agent.store import reading, schema

WIDEST = 1 << 40
"""So many keys are jumped over at most before the rest of a table is given up."""
LEADING = (
    "SELECT number FROM run", "SELECT id FROM run", "SELECT id FROM execution",
    "SELECT packages_sha256 FROM execution", "SELECT id FROM entity",
    "SELECT architecture_id FROM run", "SELECT id FROM architecture",
)  # fmt: skip
"""Where the first keys of tables without numbered rows are found."""

Row = Sequence[Any]


class Saved(NamedTuple):
    """What was got back of a table."""

    table: str
    rows: int
    damaged: bool
    """Whether some of its rows could not be read."""


def salvage(path: str, output: str) -> list[Saved]:
    """Write what can be read of a database into a new file; `path` stays as it is.

    Returns a line a table that has rows, or lost some. Raises `KerasProvError` if `output` is
    there already, or nothing can be read.
    """
    if os.path.exists(output):
        raise KerasProvError(f"{output} is there already; name a new file with -o")
    if not os.path.isfile(path):
        raise KerasProvError(f"there is no file {path}; name the damaged one with --db")
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy.db")
        for ending in reading.COMPANIONS:
            if os.path.exists(path + ending):
                shutil.copyfile(path + ending, copy + ending)
        with closing(sqlite3.connect(copy, isolation_level=None)) as source:
            source.text_factory = reading.text_of
            objects, version = _schema(source, path)
            with replaced(output) as beside, closing(sqlite3.connect(beside)) as target:
                return _saved(source, target, objects, version)


def _schema(source: sqlite3.Connection, path: str) -> tuple[list[tuple[str, str, str]], int]:
    """Type, name and SQL of what the database holds, tables first; and its version."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    try:
        objects = source.execute(query).fetchall()
        version = int(source.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as exc:
        raise KerasProvError(
            f"nothing can be got back of {path}: its first page is damaged ({exc})"
        ) from exc
    if not {"execution", "run"} <= {name for _, name, _ in objects}:
        raise KerasProvError(f"{path} holds no record of trainings that could be got back")
    return sorted(objects, key=lambda one: one[0] != "table"), version


def _saved(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    objects: list[tuple[str, str, str]],
    version: int,
) -> list[Saved]:
    target.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    target.execute(f"PRAGMA user_version = {version}")
    found = []
    for kind, name, sql in objects:
        if name.startswith("sqlite_"):
            continue
        target.execute(sql)
        if kind == "table":
            found.append(_copied(source, target, name))
            target.commit()
    if not any(one.rows for one in found if one.table == "execution"):
        raise KerasProvError("none of its programs can be read, so nothing can be got back")
    return [one for one in found if one.rows or one.damaged]


def _copied(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> Saved:
    info = target.execute(f"PRAGMA table_info({_quoted(table)})").fetchall()
    columns = [row[1] for row in info]
    key = [row[1] for row in sorted(info, key=lambda row: int(row[5])) if row[5]]
    reader = _Reader(source, table, columns)
    rows = reader.by_number() if _has_numbers(target, table) else reader.by_key(key)
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {_quoted(table)} VALUES ({marks})"
    for row in rows:
        target.execute(insert, row)
    (count,) = target.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()
    return Saved(table, count, reader.damaged)


def _has_numbers(target: sqlite3.Connection, table: str) -> bool:
    """Whether the rows of a table are numbered by SQLite."""
    try:
        target.execute(f"SELECT rowid FROM {_quoted(table)} LIMIT 1")
    except sqlite3.OperationalError:
        return False
    return True


class _Reader:
    """Reads the rows of one table, around what is damaged."""

    def __init__(self, source: sqlite3.Connection, table: str, columns: list[str]) -> None:
        self.source, self.table = source, _quoted(table)
        self.columns = ", ".join(map(_quoted, columns))
        self.damaged = False

    def _rows(self, rest: str, *values: Any) -> Iterator[Row]:
        """Rows up to the first that can't be read."""
        try:
            query = f"SELECT {self.columns} FROM {self.table} {rest}"
            yield from self.source.execute(query, values)
        except sqlite3.DatabaseError:
            self.damaged = True

    def by_number(self) -> Iterator[Row]:
        """The rows of a table that are numbered; rows may come twice."""
        return self._stepped("rowid", "true")

    def by_key(self, key: list[str]) -> Iterator[Row]:
        """The rows of a table that are ordered by a key; rows may come twice."""
        columns = [_quoted(column) for column in key]
        down = ", ".join(f"{column} DESC" for column in columns)
        yield from self._rows(f"ORDER BY {', '.join(columns)}")
        if not self.damaged:
            return
        yield from self._rows(f"ORDER BY {down}")
        first, *others = columns
        for value in self._leading():
            if others:
                yield from self._stepped(others[0], f"{first} = ?", value)
            yield from self._rows(f"WHERE {first} = ? ORDER BY {down}", value)

    def _stepped(self, column: str, where: str, *values: Any) -> Iterator[Row]:
        """Rows by a column of numbers, of which those that can't be read are jumped over."""
        rest = f"FROM {self.table} WHERE {where} AND {column}"
        query = f"SELECT {column}, {self.columns} {rest} > ? ORDER BY {column}"
        last, step, numbered = -1, 1, True
        while step < WIDEST:
            try:
                for number, *row in self.source.execute(query, (*values, last)):
                    if step > 1:  # beyond the damage: what lies between it and this row
                        before = f"WHERE {where} AND {column} < ? ORDER BY {column} DESC LIMIT ?"
                        yield from self._rows(before, *values, number, step)
                    yield row
                    numbered = isinstance(number, int)
                    if numbered:
                        last, step = number, 1
                return
            except sqlite3.DatabaseError:
                self.damaged = True
                if not numbered:
                    return  # what comes after the damage is read from the other end
                last, step = last + step, step * 2

    def _leading(self) -> list[Any]:
        values: dict[Any, None] = {}
        for query in LEADING:
            try:
                values.update((row[0], None) for row in self.source.execute(query))
            except sqlite3.DatabaseError:
                continue  # that table is damaged as well; the values before the damage are known
        return list(values)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
