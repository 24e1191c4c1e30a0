"""A local database of what the central store holds, on which everything works that looks."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from kerasprov_agent.central import server
from kerasprov_agent.central.source import METRICS, Row
from kerasprov_agent.central.there import There
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.replacing import replaced
from kerasprov_agent.store import database, reading
from kerasprov_agent.store.operations import Catalogue, add_manifest, quoted
from kerasprov_agent.store.outbox import UNITS
from kerasprov_agent.store.removal import delete_runs
from kerasprov_agent.store.text import Stored

ORIGIN = "pulled from"
"""The key of `meta` that tells of which central store the file is a copy."""


def pull(url: str, target: str, where: str | None = None) -> int:
    """Write what the central store holds to a database; returns how many runs.

    where: a condition on runs, as `--where` takes it. A file that was pulled before is replaced
    when the new one is whole; any other is left alone. Raises `KerasProvError`.
    """
    _check_target(target)
    with replaced(target) as beside:
        with server.connected(url) as connection:
            central_id = server.central_id(connection)
            connection.commit()
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            with closing(database.open_for_writing(beside)) as local:
                local.execute("BEGIN")
                _Copy(There(connection), local).fill()
                local.execute("INSERT INTO meta VALUES (?, ?)", (ORIGIN, central_id))
                local.execute("COMMIT")
        if where is not None:
            _keep_only(beside, where)
        with closing(database.open_for_writing(beside)) as local:
            count = int(local.execute("SELECT count(*) FROM run").fetchone()[0])
            local.execute("PRAGMA journal_mode = DELETE")
    return count


def _check_target(target: str) -> None:
    if not os.path.exists(target):
        return
    with closing(reading.open_for_reading(target)) as connection:
        query = "SELECT 1 FROM meta WHERE key = ?"
        if connection.execute(query, (ORIGIN,)).fetchone() is None:
            raise KerasProvError(
                f"{target} was recorded here, not pulled; name a file that is not there"
            )


def _keep_only(path: str, where: str) -> None:
    from kerasprov_agent.read.record import open_record

    with open_record(path) as record:
        kept = {row["id"] for row in record.runs(where=where)}
    with closing(database.open_for_writing(path)) as local:
        runs = [row[0] for row in local.execute("SELECT id FROM run")]
        local.execute("BEGIN")
        delete_runs(local, [run for run in runs if run not in kept])
        local.execute("COMMIT")
        local.execute("VACUUM")


class _Copy:
    """Writes rows as they are, with the numbers that the central store gave to runs."""

    def __init__(self, there: There, local: sqlite3.Connection) -> None:
        self._there, self._local = there, local
        self._catalogue = Catalogue()
        self._numbers: dict[str, int] = {}
        self._names: set[str] = set()

    def fill(self) -> None:
        """Write all of it."""
        for unit in UNITS:
            if unit.head == "manifest":
                self._manifests()
                continue
            rows = self._there.rows(unit.head, further="number" if unit.head == "run" else "")
            self._insert(unit.head, self._named(rows) if unit.head == "run" else rows)
            for table, _ in unit.parts:
                self._insert(table, self._there.rows(table))
        self._insert("epoch", self._numbered(self._there.rows("epoch")))

    def _named(self, rows: Iterable[Row]) -> Iterable[Row]:
        """Names are one file's own: where two programs have the same, a number is added."""
        for row in sorted(rows, key=lambda row: row["number"]):
            self._numbers[row["id"]] = row["number"]
            name, tried = row["name"], 1
            while name in self._names:
                tried += 1
                name = f"{row['label']}-{tried}"
            self._names.add(name)
            yield {**row, "name": name}

    def _numbered(self, rows: Iterable[Row]) -> Iterable[Row]:
        for row in rows:
            number = self._numbers.get(row.pop("run_id"))
            if number is not None:
                yield {"run": number, **row}

    def _manifests(self) -> None:
        entries: dict[str, list[Any]] = defaultdict(list)
        for row in self._there.rows("member"):
            content = (row["path"], row["bytes"], row["sha256"], row["partial_sha256"])
            entries[row["manifest_sha256"]].append(content)
        for row in self._there.rows("manifest"):
            some = json.dumps(entries.get(row["sha256"], []))
            add_manifest(self._local, {**row, "entries": some})

    def _insert(self, table: str, rows: Iterable[Row]) -> None:
        for row in rows:
            values = dict(row)
            more: dict[str, Any] = {}
            for name, value in values.pop(METRICS, {}).items():
                column = self._catalogue.column(self._local, table, Stored(name))
                if column is None:
                    more[name] = value
                else:
                    values[column] = value
            if more:
                values["more"] = json.dumps({**json.loads(values["more"] or "{}"), **more})
            names = ", ".join(map(quoted, values))
            marks = ", ".join("CAST(? AS TEXT)" if _is_raw(v) else "?" for v in values.values())
            self._local.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING",
                [
                    v.encode("utf-8", "surrogateescape") if _is_raw(v) else v
                    for v in values.values()
                ],
            )


def _is_raw(value: Any) -> bool:
    """Whether it is a text with bytes that are no UTF-8; these go back as they came."""
    try:
        isinstance(value, str) and value.encode()
    except UnicodeEncodeError:
        return True
    return False
