"""Sending a database to the central store: at least once, in batches, and never backwards.

A unit is put there if its version is higher than what is there. So it makes no difference how
often, in which order, or from how many copies of a file it is sent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from kerasprov_agent.central import dialect, server
from kerasprov_agent.central.source import METRICS, Noted, Row, Source, note_position, opened
from kerasprov_agent.identity import host
from kerasprov_agent.store.outbox import EPOCHS, UNITS, Unit

if TYPE_CHECKING:
    from kerasprov_agent.central.server import Connection

EPOCHS_AT_ONCE = 20_000
FEW = 100
"""More rows than these are copied, which is faster, but begins slower."""


class Sent(NamedTuple):
    """What one round has sent."""

    units: int
    epochs: int
    waiting: int
    """Units that are still to be sent."""
    position: int
    """How far the log has gone."""
    refused: tuple[str, ...]
    """Units that another role has sent before; only that one may change them."""


def send(path: str, url: str) -> Sent:
    """Send the next units of a database, one batch of them.

    The database notes what changes already (`source.prepare`). Raises `Unreachable` where trying
    again may help, `KerasProvError` where it will not, and what SQLite raises.
    """
    with opened(path) as source, server.connected(url) as connection:
        central_id = server.central_id(connection)
        connection.commit()
        position = source.position(central_id)
        noted = source.noted(position)
        store_id = source.store_id()
        sent = _Batch(source, connection, store_id).send(noted) if noted else (0, 0, ())
        waiting = source.waiting(noted[-1].seq) if noted else 0
        _heartbeat(connection, store_id, waiting)
        connection.commit()
    if noted:
        position = noted[-1].seq
        note_position(path, central_id, position)
    units, epochs, refused = sent
    return Sent(units, epochs, waiting, position, tuple(refused))


def send_all(path: str, url: str) -> Sent:
    """Send all that waits. Raises as `send`."""
    units, epochs, refused = 0, 0, list[str]()
    while True:
        sent = send(path, url)
        units, epochs = units + sent.units, epochs + sent.epochs
        refused += sent.refused
        if not sent.waiting:
            return Sent(units, epochs, 0, sent.position, tuple(refused))


def _heartbeat(connection: Connection, store_id: str, waiting: int) -> None:
    values = {"id": store_id, "host": host(), "now": time.time(), "waiting": waiting}
    table = f"{dialect.SCHEMA}.store"
    offset = "%(now)s - extract(epoch FROM clock_timestamp())"
    known = connection.execute(
        f"UPDATE {table} SET host = %(host)s, clock_offset = {offset}, "
        "seen_at = clock_timestamp(), waiting = %(waiting)s WHERE id = %(id)s",
        values,
    )
    if not known.rowcount:  # new, or another role's, which stays as it is
        connection.execute(
            f"INSERT INTO {table} (id, host, clock_offset, seen_at, waiting) VALUES "
            f"(%(id)s, %(host)s, {offset}, clock_timestamp(), %(waiting)s) ON CONFLICT DO NOTHING",
            values,
        )


class _Batch:
    """Units on their way, in one transaction; epochs in further ones if they are many."""

    def __init__(self, source: Source, connection: Connection, store_id: str) -> None:
        self._source, self._connection, self._store_id = source, connection, store_id
        self._refused: list[str] = []
        self._columns: dict[str, str | None] = {}
        """By metric its column there; None: it has none."""

    def send(self, noted: Sequence[Noted]) -> tuple[int, int, Sequence[str]]:
        """Send units; returns how many, how many epochs, and which were refused."""
        units = 0
        numbers = [row.id for row in noted if row.kind == EPOCHS]
        self._make_columns(noted, numbers)
        self._begin()
        # A run changes after its epochs came; of many units it may be in a later batch than they.
        runs = self._source.noted_runs(numbers)
        for unit in UNITS:
            some = {row.id: row for row in noted if row.kind == unit.head}
            if unit.head == "run":
                some = runs | some
            if some:
                units += self._send_unit(unit, some)
        epochs = self._send_epochs(numbers)
        self._connection.commit()
        return units, epochs, self._refused

    def _begin(self) -> None:
        server.limit(self._connection)
        # Whoever else sends this file, or a copy of it, waits: what is there stays as it is read.
        self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (self._store_id,)
        )

    def _make_columns(self, noted: Iterable[Noted], numbers: Sequence[int]) -> None:
        """Metrics get their columns before the batch: making one waits for all who write."""
        if not numbers and not any(row.kind == "evaluation" for row in noted):
            return
        known = self._connection.execute(f"SELECT name, column_name FROM {dialect.SCHEMA}.metric")
        self._columns = dict(known.fetchall())
        # Of `Loss` and `loss` one has its own name as its column here, and gets it there.
        in_order = sorted(self._source.metrics.items(), key=lambda item: (item[0] != item[1], item))
        for here, name in in_order:
            if name in self._columns:
                continue
            server.limit(self._connection)
            (column,) = self._connection.execute(
                f"SELECT {dialect.SCHEMA}.metric_column(%s, %s)", (name, dialect.candidate(here))
            ).fetchone() or (None,)
            self._connection.commit()
            self._columns[name] = column
        for month in sorted(self._source.months(numbers)):
            self._connection.execute(f"SELECT {dialect.SCHEMA}.make_month(%s)", (month,))
        self._connection.commit()

    def _send_unit(self, unit: Unit, noted: Mapping[str, Noted]) -> int:
        if unit.is_shared:
            self._add_shared(unit, noted)
            return len(noted)
        newer = self._newer(unit, noted)
        gone = sorted(key for key in newer if noted[key].is_deleted)
        self._forget(unit, {key: noted[key].version for key in gone})
        there = sorted(newer - set(gone))
        rows = self._source.heads(unit, there)
        self._delete_parts(unit, there)
        self._put(unit, [{**row, "_version": noted[row[unit.key]].version} for row in rows])
        for table, parts in self._source.parts(unit, there).items():
            self._insert(table, parts)
        return len(newer)

    def _add_shared(self, unit: Unit, keys: Iterable[str]) -> None:
        rows = self._source.heads(unit, keys)
        if unit.head == "manifest":
            self._add_manifests(rows)
            return
        self._insert(unit.head, rows)
        for table, parts in self._source.parts(unit, keys).items():
            self._insert(table, parts)

    def _add_manifests(self, rows: Sequence[Row]) -> None:
        self._insert("manifest", rows)
        self._insert("member", self._source.members(row["sha256"] for row in rows))
        complete = [(row["files"], row["sha256"]) for row in rows if row["files"] is not None]
        table = dialect.qualified("manifest")
        query = f"UPDATE {table} SET files = %s WHERE sha256 = %s AND files IS NULL"
        if complete:
            with self._connection.cursor() as cursor:
                cursor.executemany(query, complete)

    def _newer(self, unit: Unit, noted: Mapping[str, Noted]) -> set[str]:
        """The units of which there is an older version there, or none, and which we may change."""
        newer = set(noted)
        keys = sorted(noted)
        table = dialect.qualified(unit.head)
        for query, values in (
            (
                f"SELECT {unit.key}, _version, _writer = current_user FROM {table} "
                f"WHERE {unit.key} = ANY(%s)",
                (keys,),
            ),
            (
                f"SELECT id, version, _writer = current_user FROM {dialect.SCHEMA}.tombstone "
                "WHERE kind = %s AND id = ANY(%s)",
                (unit.head, keys),
            ),
        ):
            for key, version, is_own in self._connection.execute(query, values):
                if version >= noted[key].version:
                    newer.discard(key)
                elif not is_own:
                    newer.discard(key)
                    self._refused.append(key)
        return newer

    def _forget(self, unit: Unit, versions: Mapping[str, int]) -> None:
        """Delete units, and keep that they were: an older copy must not bring them back."""
        if not versions:
            return
        keys = sorted(versions)
        self._delete_parts(unit, keys)
        self._delete(unit.head, unit.key, keys)
        if unit.head == "run":
            self._delete("epoch", "run_id", keys)
        with self._connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {dialect.SCHEMA}.tombstone (kind, id, version) VALUES (%s, %s, %s) "
                "ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version",
                [(unit.head, key, versions[key]) for key in keys],
            )

    def _delete_parts(self, unit: Unit, keys: Sequence[str]) -> None:
        for table, column in unit.parts:
            self._delete(table, column, keys)

    def _delete(self, table: str, column: str, keys: Sequence[str]) -> None:
        if keys:
            query = f"DELETE FROM {dialect.qualified(table)} WHERE {column} = ANY(%s)"
            self._connection.execute(query, (list(keys),))

    def _put(self, unit: Unit, rows: Sequence[Row]) -> None:
        """Write heads, each in the place of its older version."""
        if not rows:
            return
        columns, values = self._values(unit.head, rows)
        names = ", ".join(map(dialect.quoted, columns))
        marks = ", ".join(["%s"] * len(columns))
        new = ", ".join(f"{dialect.quoted(c)} = excluded.{dialect.quoted(c)}" for c in columns)
        query = (
            f"INSERT INTO {dialect.qualified(unit.head)} AS t ({names}) VALUES ({marks}) "
            f"ON CONFLICT ({unit.key}) DO UPDATE SET {new}, _at = clock_timestamp() "
            "WHERE t._version < excluded._version"
        )
        with self._connection.cursor() as cursor:
            cursor.executemany(query, values)

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        """Add rows; those that are there stay as they are."""
        if not rows:
            return
        columns, values = self._values(table, rows)
        names = ", ".join(map(dialect.quoted, columns))
        target = dialect.qualified(table)
        if len(values) <= FEW:
            marks = ", ".join(["%s"] * len(columns))
            query = f"INSERT INTO {target} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"
            with self._connection.cursor() as cursor:
                cursor.executemany(query, values)
            return
        self._connection.execute(f"CREATE TEMP TABLE incoming (LIKE {target}) ON COMMIT DROP")
        # What this transaction does not give has its default there, which is no part of the copy.
        for column in ("_writer", "_at"):
            self._connection.execute(f"ALTER TABLE incoming ALTER {column} DROP NOT NULL")
        if table in dialect.WITH_VERSION:
            self._connection.execute("ALTER TABLE incoming ALTER _version DROP NOT NULL")
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY incoming ({names}) FROM STDIN") as copy,
        ):
            for row in values:
                copy.write_row(row)
        self._connection.execute(
            f"INSERT INTO {target} ({names}) SELECT {names} FROM incoming ON CONFLICT DO NOTHING"
        )
        self._connection.execute("DROP TABLE incoming")

    def _values(self, table: str, rows: Sequence[Row]) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The columns that rows have there, and their values, in an order that all keep to."""
        known = dialect.tables()[table]
        prepared = []
        if table == "run":  # the numbers that they get there follow those that they have here
            rows = sorted(rows, key=lambda row: row["number"])
        for row in rows:
            values = dialect.to_columns(known, row)
            if "_version" in row:
                values["_version"] = row["_version"]
            if table in dialect.MEASURED:
                values |= self._measured(row[METRICS])
            if table == "epoch":
                values["_month"] = dialect.month(row["started_at"])
            prepared.append(values)
        columns = list(dict.fromkeys(name for values in prepared for name in values))
        key = [columns.index(name) for name in known.key]
        tuples = [tuple(values.get(name) for name in columns) for values in prepared]
        if table != "run":
            tuples.sort(key=lambda row: tuple(str(row[place]) for place in key))
        return columns, tuples

    def _measured(self, metrics: Mapping[str, Any]) -> Row:
        """Metrics in the columns that they have there; those without one together, as JSON."""
        values: Row = {}
        further: Row = {}
        for name, value in metrics.items():
            column = self._columns.get(name)
            if column is None or not isinstance(value, float):
                further[name] = dialect.plain(value)
            else:
                values[column] = value
        values["_metrics"] = json.dumps(further) if further else None
        return values

    def _send_epochs(self, numbers: Iterable[int]) -> int:
        ids = self._source.run_ids(numbers)
        if not ids:
            return 0
        keys = sorted(ids)
        runs = {
            key: (version, is_own)
            for key, version, is_own in self._connection.execute(
                f"SELECT id, _epochs_version, _writer = current_user FROM {dialect.SCHEMA}.run "
                "WHERE id = ANY(%s)",
                (keys,),
            )
        }
        allowed = [key for key in keys if key in runs and runs[key][1]]
        rewritten = self._source.rewritten(allowed)
        for key in list(allowed):
            version = rewritten.get(key, 0)
            if version > runs[key][0]:
                self._delete("epoch", "run_id", [key])
                self._connection.execute(
                    f"UPDATE {dialect.SCHEMA}.run SET _epochs_version = %s WHERE id = %s",
                    (version, key),
                )
            elif version < runs[key][0]:
                allowed.remove(key)  # they were changed later elsewhere
        there = {
            key: (count, last)
            for key, count, last in self._connection.execute(
                f"SELECT run_id, count(*), max(epoch) FROM {dialect.SCHEMA}.epoch "
                "WHERE run_id = ANY(%s) GROUP BY run_id",
                (allowed,),
            )
        }
        rows = (row for key in allowed for row in self._missing(key, ids[key], there.get(key)))
        sent = 0
        while some := list(islice(rows, EPOCHS_AT_ONCE)):
            self._insert("epoch", some)
            sent += len(some)
            if len(some) == EPOCHS_AT_ONCE:
                self._connection.commit()
                self._begin()
        return sent

    def _missing(self, run_id: str, number: int, there: tuple[int, int] | None) -> Iterable[Row]:
        """The epochs of a run that are not there: nearly always those after the last one there."""
        if there is None:
            return self._source.epochs(run_id, number)
        count, last = there
        if self._source.count_epochs(number, last) == count:
            return self._source.epochs(run_id, number, last)
        query = f"SELECT epoch FROM {dialect.SCHEMA}.epoch WHERE run_id = %s"
        known = {epoch for (epoch,) in self._connection.execute(query, (run_id,))}
        return (row for row in self._source.epochs(run_id, number) if row["epoch"] not in known)
