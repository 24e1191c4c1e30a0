"""A database as it is sent: its units and epochs, and how far they have gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from kerasprov_agent.central import dialect
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.store import database, outbox, reading
from kerasprov_agent.store.outbox import REWRITTEN, Unit

BATCH = 500
"""Units that are sent in one transaction."""
PATIENCE = 5.0
"""Seconds that noting how far it has gone waits for a training to let go of the file."""
VARIABLES = 500
"""So many values stand in one question to SQLite."""

Row = dict[str, Any]
METRICS = "metrics by name"
"""Under this stand the metrics of an epoch or an evaluation; no column can have this name."""


class Noted(NamedTuple):
    """A row of the log."""

    kind: str
    id: Any
    version: int
    is_deleted: bool
    seq: int


def prepare(path: str) -> None:
    """Let the database note what changes, if it does not yet; raises `Unusable`."""
    with closing(reading.open_for_reading(path)) as connection:
        if outbox.is_kept(connection):
            return
    try:
        with closing(database.open_for_writing(path)) as connection:
            outbox.keep(connection)
    except sqlite3.OperationalError as exc:
        raise KerasProvError(
            f"{path} can't be written ({exc}), and it has to note what was sent; copy it, and send "
            "the copy"
        ) from exc


@contextmanager
def opened(path: str) -> Iterator[Source]:
    """The database in one state of it, while this lasts."""
    with closing(reading.open_for_reading(path)) as connection:
        connection.text_factory = _exact
        yield Source(path, connection)


def _exact(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


class Source:
    """One state of a database."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.path, self._connection = path, connection
        self.metrics = {
            row["column_name"]: row["name"] for row in self._rows("SELECT * FROM metric")
        }
        """The names of metrics, by their columns."""

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Row]:
        return [dict(row) for row in self._connection.execute(query, values)]

    def store_id(self) -> str:
        """The id of the file; copies of it have the same."""
        return str(self._meta("store_id"))

    def position(self, central_id: str) -> int:
        """How far the log was sent to a central store."""
        return int(self._meta(f"central {central_id}") or 0)

    def _meta(self, key: str) -> Any:
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0]["value"] if rows else None

    def waiting(self, position: int) -> int:
        """How many units were noted beyond a position."""
        return int(
            self._rows("SELECT count(*) AS n FROM outbox WHERE seq > ?", (position,))[0]["n"]
        )

    def noted(self, position: int, limit: int = BATCH) -> list[Noted]:
        """The next units beyond a position, in the order in which they changed last."""
        columns = "kind, id, version, is_deleted, seq"
        query = f"SELECT {columns} FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = self._connection.execute(query, (position, limit))
        return [
            Noted(kind, key, version, bool(gone), seq) for kind, key, version, gone, seq in rows
        ]

    def noted_runs(self, numbers: Iterable[int]) -> dict[str, Noted]:
        """What the log has of these runs themselves, by their ids."""
        query = (
            "SELECT o.* FROM outbox o JOIN run r ON o.kind = 'run' AND o.id = r.id "
            "WHERE r.number IN ({})"
        )
        return {
            row["id"]: Noted("run", row["id"], row["version"], bool(row["is_deleted"]), row["seq"])
            for row in self._in_parts(query, numbers)
        }

    def all_noted(self) -> Iterator[Noted]:
        """The whole log."""
        position = 0
        while rows := self.noted(position):
            yield from rows
            position = rows[-1].seq

    def heads(self, unit: Unit, keys: Iterable[str]) -> list[Row]:
        """The rows of the head table with these keys."""
        return self._of(unit.head, unit.key, keys)

    def parts(self, unit: Unit, keys: Iterable[str]) -> dict[str, list[Row]]:
        """By table, the rows that belong to these heads."""
        keys = list(keys)
        return {table: self._of(table, column, keys) for table, column in unit.parts}

    def members(self, manifests: Iterable[str]) -> list[Row]:
        """The files of sets: each with the set's hash, its path and what is in it."""
        query = (
            "SELECT s.sha256 AS manifest_sha256, m.path, c.bytes, c.sha256, c.partial_sha256 "
            "FROM manifest s JOIN member m ON m.manifest = s.number "
            "JOIN content c ON c.number = m.content WHERE s.sha256 IN ({})"
        )
        return self._in_parts(query, manifests)

    def _of(self, table: str, column: str, keys: Iterable[str]) -> list[Row]:
        rows = self._in_parts(f'SELECT * FROM "{table}" WHERE {column} IN ({{}})', keys)
        return [self.named(row) for row in rows] if table == "evaluation" else rows

    def _in_parts(self, query: str, keys: Iterable[Any]) -> list[Row]:
        keys = sorted(keys)
        return [
            row
            for start in range(0, len(keys), VARIABLES)
            for row in self._rows(
                query.format(", ".join("?" * len(keys[start : start + VARIABLES]))),
                keys[start : start + VARIABLES],
            )
        ]

    def run_ids(self, numbers: Iterable[int]) -> dict[str, int]:
        """By the ids of runs their numbers here."""
        query = "SELECT id, number FROM run WHERE number IN ({})"
        return {row["id"]: row["number"] for row in self._in_parts(query, numbers)}

    def rewritten(self, run_ids: Iterable[str]) -> dict[str, int]:
        """By the ids of runs when their epochs were changed last, of those that were."""
        query = f"SELECT id, version FROM outbox WHERE kind = '{REWRITTEN}' AND id IN ({{}})"
        return {row["id"]: row["version"] for row in self._in_parts(query, run_ids)}

    def count_epochs(self, number: int, last: int) -> int:
        """How many epochs a run has up to one."""
        query = "SELECT count(*) AS n FROM epoch WHERE run = ? AND epoch <= ?"
        return int(self._rows(query, (number, last))[0]["n"])

    def epochs(self, run_id: str, number: int, after: int | None = None) -> Iterator[Row]:
        """The epochs of a run, beyond one of them, with their metrics by name."""
        condition = "" if after is None else f" AND epoch > {int(after)}"
        query = f"SELECT * FROM epoch WHERE run = ?{condition} ORDER BY epoch"
        for row in self._connection.execute(query, (number,)):
            named = self.named(dict(row))
            del named["run"]
            yield {"run_id": run_id, **named}

    def months(self, numbers: Iterable[int]) -> set[str]:
        """The months in which epochs of runs began, as the dates of their first days."""
        query = (
            "SELECT min(started_at) AS least, max(started_at) AS greatest FROM epoch "
            "WHERE run IN ({}) GROUP BY run, CAST(started_at / 86400 AS INTEGER)"
        )
        days = self._in_parts(query, numbers)
        months = {dialect.month(row[name]) for row in days for name in ("least", "greatest")}
        return months - {dialect.NO_MONTH}

    def named(self, row: Row) -> Row:
        """A row whose metrics stand by their names under `METRICS`, and not in their columns."""
        metrics = {name: row.pop(column) for column, name in self.metrics.items() if column in row}
        return {**row, METRICS: {n: value for n, value in metrics.items() if value is not None}}


def note_position(path: str, central_id: str, seq: int) -> None:
    """Note how far the log was sent; raises what SQLite raises."""
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    with closing(connection):
        connection.execute(
            "INSERT INTO meta VALUES (:key, :seq) ON CONFLICT (key) DO UPDATE "
            "SET value = max(value, excluded.value)",
            {"key": f"central {central_id}", "seq": seq},
        )
