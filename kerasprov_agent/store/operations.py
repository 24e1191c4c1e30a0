"""What the recorder asks of the store, as values: they can be applied now or spooled as JSON.

Applying one twice does no more than applying it once.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kerasprov_agent.store import schema, text

if TYPE_CHECKING:
    import sqlite3

VECTOR_LIMIT = 16
"""The elements of a metric that is a longer vector get no columns of their own."""

Row = dict[str, Any]
Operation = tuple[str, str, Row, Row]
"""(what, table, row, further): `further` is the key of an update, the metrics of a measurement."""


def insert(table: str, row: Row) -> Operation:
    """A new row; left out if one with its key is there."""
    return ("insert", table, row, {})


def update(table: str, row: Row, key: Row) -> Operation:
    """New values for the rows whose columns equal `key`."""
    return ("update", table, row, key)


def fill(table: str, row: Row, key: Row) -> Operation:
    """As `update`, where there is no value yet."""
    return ("fill", table, row, key)


def named(run_id: str, label: str) -> Operation:
    """Another name for a run, with a number where others have it."""
    return ("name", "run", {"id": run_id}, {"label": label})


def described_like(entity_id: str, source_id: str) -> Operation:
    """An entity that is what another was in all but its state: its name, class and structure."""
    return ("describe", "entity", {"id": entity_id}, {"source": source_id})


def replaced_architecture(architecture_id: str) -> Operation:
    """An architecture that was described before it was built, and is now described anew."""
    return ("forget", "architecture", {"id": architecture_id}, {})


def forget_entity(entity_id: str) -> Operation:
    """An entity that turned out to be a part of another, or to be gone without a trace."""
    return ("forget", "entity", {"id": entity_id}, {})


def manifest(digest: str, entries: Sequence[Sequence[Any]], files: int | None = None) -> Operation:
    """Files of a set: the path below the set's, bytes, sha256, partial_sha256 of each.

    `files` tells how many they are in all, and comes with the last of them.
    """
    return insert("manifest", {"sha256": digest, "files": files, "entries": text.as_json(entries)})


def measured(table: str, row: Row, metrics: Mapping[str, Any]) -> Operation:
    """An epoch, or the results of an evaluation, with Keras' metrics by their names."""
    return ("measured", table, row, dict(metrics))


class Catalogue:
    """A connection's cache of its file: which columns metrics have, which numbers runs have."""

    def __init__(self) -> None:
        self.columns: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.known: dict[str, set[str]] = {}
        self.without_column: set[str] = set()

    def forget(self) -> None:
        """Forget what was added in a transaction that was rolled back."""
        self.columns.clear()
        self.numbers.clear()
        self.known.clear()
        self.without_column.clear()

    def number(self, connection: sqlite3.Connection, run_id: str) -> int | None:
        """The number of a run in this file, by which its epochs go."""
        if run_id not in self.numbers:
            row = connection.execute("SELECT number FROM run WHERE id = ?", (run_id,)).fetchone()
            if row is None:
                return None
            self.numbers[run_id] = row[0]
        return self.numbers[run_id]

    def know(self, operation: Operation) -> bool:
        """Whether an operation measures an epoch whose metrics all have their columns."""
        what, table, _, values = operation
        columns = self.known.get(table, ())
        return (
            what == "measured"
            and table == "epoch"
            and all(
                self.columns.get(name) in columns or name in self.without_column for name in values
            )
        )

    def column(self, connection: sqlite3.Connection, table: str, name: str) -> str | None:
        """The column of a metric in `table`, added if need be; None when there are too many."""
        column = self.columns.get(name)
        if column is None:
            if name in self.without_column:
                return None
            column = self._assign(connection, name)
            if column is None:
                self.without_column.add(name)
                return None
            self.columns[name] = column
        if column not in self.known.get(table, ()):
            self._add(connection, table, column)
        return column

    def _assign(self, connection: sqlite3.Connection, name: str) -> str | None:
        name = text.bindable(name)
        if len(name) > schema.METRIC_NAME_LIMIT:
            return None
        row = connection.execute(
            "SELECT column_name FROM metric WHERE name = ?", (name,)
        ).fetchone()
        if row:
            return str(row[0])
        count = connection.execute("SELECT count(*) FROM metric").fetchone()[0]
        if count >= schema.METRIC_COLUMN_LIMIT:
            return None
        taken = {row[0].lower() for row in connection.execute("SELECT column_name FROM metric")}
        for table in ("epoch", "evaluation"):
            taken |= {row[1].lower() for row in connection.execute(f"PRAGMA table_info({table})")}
        taken |= schema.RESERVED_COLUMNS
        column = name if name.lower() not in taken else f"metric_{name}"
        number = 1
        while column.lower() in taken:
            number += 1
            column = f"{name}_{number}"
        connection.execute("INSERT INTO metric VALUES (?, ?)", (name, column))
        return column

    def _add(self, connection: sqlite3.Connection, table: str, column: str) -> None:
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if column not in present:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(column)} REAL")
            present.add(column)
        self.known[table] = present


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def apply(connection: sqlite3.Connection, operation: Operation, catalogue: Catalogue) -> None:
    """Carry out one operation; the caller holds the transaction."""
    what, table, row, further = operation
    if what == "insert" and table == "manifest":
        add_manifest(connection, row)
    elif what == "insert":
        complete = {"run": _named, "execution": _in_job, "source": _compressed}.get(table)
        _insert(connection, table, complete(connection, row) if complete else row)
    elif what == "update":
        _update(connection, table, row, further)
    elif what == "fill":
        _update(connection, table, row, further, "coalesce({0}, ?)")
    elif what == "name":
        _rename(connection, row["id"], further["label"])
    elif what == "describe":
        _describe_like(connection, row["id"], further["source"])
    elif what == "forget" and table == "entity":
        _forget_entity(connection, row["id"])
    elif what == "forget":
        _forget_architecture(connection, row["id"])
    elif table == "epoch":
        row = dict(row)
        number = catalogue.number(connection, row.pop("run_id"))
        values = _measurements(connection, table, further, catalogue)
        _insert(connection, table, {"run": number, **row, **values})
    else:
        values = _measurements(connection, table, further, catalogue)
        _update(connection, table, {**row, **values}, {"id": row["id"]})


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    connection.execute(_insertion(table, tuple(row)), tuple(map(text.bindable, row.values())))


@lru_cache(maxsize=256)
def _insertion(table: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(map(quoted, columns))
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"


def add_manifest(connection: sqlite3.Connection, row: Row) -> None:
    """Write down the files of a set, or some of them; `entries` is JSON, see `manifest`."""
    connection.execute(
        "INSERT INTO manifest (sha256) VALUES (?) ON CONFLICT DO NOTHING", (row["sha256"],)
    )
    (number,) = connection.execute(
        "SELECT number FROM manifest WHERE sha256 = ?", (row["sha256"],)
    ).fetchone()
    entries = json.loads(row["entries"])
    connection.executemany(
        "INSERT INTO content (bytes, sha256, partial_sha256) VALUES (?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        (content for _, *content in entries),
    )
    connection.executemany(
        "INSERT INTO member SELECT ?, ?, number FROM content WHERE sha256 = ? OR "
        "partial_sha256 = ? ON CONFLICT DO NOTHING",
        ((number, path, *hashes) for path, _, *hashes in entries),
    )
    if row["files"] is not None:
        connection.execute("UPDATE manifest SET files = ? WHERE number = ?", (row["files"], number))


def _update(
    connection: sqlite3.Connection, table: str, row: Row, key: Row, value: str = "?"
) -> None:
    assignments = ", ".join(f"{quoted(name)} = {value.format(quoted(name))}" for name in row)
    condition = " AND ".join(f"{quoted(name)} = ?" for name in key)
    connection.execute(
        f"UPDATE {table} SET {assignments} WHERE {condition}",
        tuple(map(text.bindable, (*row.values(), *key.values()))),
    )


def _describe_like(connection: sqlite3.Connection, entity_id: str, source_id: str) -> None:
    connection.execute(
        "UPDATE entity SET (name, class_name, architecture_id) = "
        "(SELECT name, class_name, architecture_id FROM entity WHERE id = ?) WHERE id = ?",
        (source_id, entity_id),
    )


def _forget_architecture(connection: sqlite3.Connection, architecture_id: str) -> None:
    for table in ("run", "entity"):
        query = f"SELECT 1 FROM {table} WHERE architecture_id = ? LIMIT 1"
        if connection.execute(query, (architecture_id,)).fetchone():
            return
    connection.execute("DELETE FROM layer WHERE architecture_id = ?", (architecture_id,))
    connection.execute("DELETE FROM architecture WHERE id = ?", (architecture_id,))


def _forget_entity(connection: sqlite3.Connection, entity_id: str) -> None:
    for table in ("file", "used", "generated", "derived"):
        connection.execute(f"DELETE FROM {table} WHERE entity_id = ?", (entity_id,))
    connection.execute("DELETE FROM derived WHERE source_id = ?", (entity_id,))
    connection.execute("DELETE FROM entity WHERE id = ?", (entity_id,))


def _compressed(_connection: sqlite3.Connection, row: Row) -> Row:
    """Texts are compressed where they are stored; on the way there they may be spooled as JSON."""
    kept = {name: value for name, value in row.items() if name != "text"}
    return {**kept, "zlib": zlib.compress(text.as_bytes(row["text"]))}


def _named(connection: sqlite3.Connection, row: Row) -> Row:
    """Give a run its name: the label, with the next free number if others have it."""
    label = text.bindable(row["label"])
    query = "SELECT count(*) FROM run WHERE label = ?"
    name, number = label, connection.execute(query, (label,)).fetchone()[0]
    while _name_taken(connection, name):
        number += 1
        name = f"{label}-{number}"
    return {**row, "label": text.Stored(label), "name": text.Stored(name)}


def _rename(connection: sqlite3.Connection, run_id: str, label: str) -> None:
    query = "SELECT label FROM run WHERE id = ?"
    if connection.execute(query, (run_id,)).fetchone() != (text.bindable(label),):
        _update(connection, "run", _named(connection, {"label": label}), {"id": run_id})


def _in_job(connection: sqlite3.Connection, row: Row) -> Row:
    """Give an execution its job: the same launcher's variables may come again another day.

    Another job begins where a process of the same rank is in it, or all of it was over before.
    """
    label = job = text.bindable(row.get("job"))
    role, number = text.bindable(row.get("role")), 1
    while job is not None:
        members = connection.execute(
            "SELECT rank IS ? AND role IS ?, ended_at < ? FROM execution WHERE job = ? AND id <> ?",
            (row["rank"], role, row["started_at"], job, row["id"]),
        ).fetchall()
        if not members or not (any(same for same, _ in members) or all(o for _, o in members)):
            return {**row, "job": text.Stored(job)}
        number += 1
        job = f"{label}#{number}"
    return row


def _name_taken(connection: sqlite3.Connection, name: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM run WHERE name = ?", (name,)).fetchone())


def _measurements(
    connection: sqlite3.Connection, table: str, metrics: Mapping[str, Any], catalogue: Catalogue
) -> Row:
    """Metrics as columns; NaN, for which SQLite has no number, is noted beside them."""
    row: Row = {}
    nonfinite: dict[str, float] = {}
    more: dict[str, Any] = {}
    for name, value in _with_elements(metrics):
        number = text.real(value)
        column = None if number is None else catalogue.column(connection, table, name)
        if number is None or column is None:
            more[name] = value
        elif math.isfinite(number):
            row[column] = number
        else:
            row[column] = None if math.isnan(number) else number
            nonfinite[name] = number
    if nonfinite:
        row["nonfinite"] = text.as_json(nonfinite)
    if more:
        row["more"] = text.as_json(more)
    return row


def _with_elements(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Metrics and their values; of a short vector `f1` the elements too, as `f1[0]`, `f1[1]`."""
    for name, value in metrics.items():
        yield name, value
        if isinstance(value, list) and len(value) <= VECTOR_LIMIT:
            for position, element in enumerate(value):
                if text.real(element) is not None:
                    yield f"{name}[{position}]", element
