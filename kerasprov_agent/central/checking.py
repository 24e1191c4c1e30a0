"""Comparing a database with the central store: row for row, value for value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kerasprov_agent.central import dialect, server
from kerasprov_agent.central.source import METRICS, Noted, Row, Source, opened
from kerasprov_agent.central.there import There
from kerasprov_agent.store.outbox import EPOCHS, UNITS, Unit

AT_ONCE = 500
IGNORED = {"source": ("zlib",)}
"""The same text may be compressed into other bytes."""

Difference = dict[str, Any]


def differences(path: str, url: str) -> list[Difference]:
    """What differs: rows of `kind`, `id` and `what`; without any both hold the same.

    `what` tells why, where it is known: it waits to be sent, another copy of the file has sent a
    later state, or it was deleted there. Raises `KerasProvError`.
    """
    with opened(path) as source, server.connected(url) as connection:
        position = source.position(server.central_id(connection))
        connection.commit()
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        there = There(connection)
        tombstones = {
            (kind, key): version
            for kind, key, version in connection.execute(
                f"SELECT kind, id, version FROM {dialect.SCHEMA}.tombstone"
            )
        }
        return list(_Comparison(source, there, position, tombstones).differences())


class _Comparison:
    def __init__(
        self,
        source: Source,
        there: There,
        position: int,
        tombstones: Mapping[tuple[str, str], int],
    ) -> None:
        self._source, self._there = source, there
        self._position, self._tombstones = position, tombstones

    def differences(self) -> Iterator[Difference]:
        noted: dict[str, list[Noted]] = defaultdict(list)
        for row in self._source.all_noted():
            noted[row.kind].append(row)
        for unit in UNITS:
            rows = noted[unit.head]
            for start in range(0, len(rows), AT_ONCE):
                some = {row.id: row for row in rows[start : start + AT_ONCE]}
                yield from self._of_units(unit, some)
        numbers = [row.id for row in noted[EPOCHS]]
        waiting = {row.id for row in noted[EPOCHS] if row.seq > self._position}
        for run_id, number in self._source.run_ids(numbers).items():
            yield from self._of_epochs(run_id, number, number in waiting)
        here = {unit.head: {row.id for row in noted[unit.head]} for unit in UNITS}
        yield from self._not_here(here)

    def _of_units(self, unit: Unit, noted: Mapping[str, Noted]) -> Iterator[Difference]:
        keys = sorted(noted)
        versions = "" if unit.is_shared else "_version"
        here = self._collected(unit, self._source.heads(unit, keys), self._source.parts(unit, keys))
        heads = list(self._there.rows(unit.head, unit.key, keys, versions))
        version = {row[unit.key]: row.pop("_version", 0) for row in heads}
        parts = {table: list(self._there.rows(table, column, keys)) for table, column in unit.parts}
        there = self._collected(unit, heads, parts)
        if unit.head == "manifest":
            for side, members in (
                (here, self._source.members(keys)),
                (there, self._there.rows("member", "manifest_sha256", keys)),
            ):
                for row in members:
                    side[row["manifest_sha256"]].append(("member", _values("member", row)))
        for key in keys:
            if sorted(here[key]) == sorted(there[key]) or (unit.is_shared and not here[key]):
                continue  # what nothing here needs any more, others may need there
            log = noted[key]
            if log.seq > self._position:
                what = "waits to be sent"
            elif version.get(key, 0) > log.version:
                what = "a later state was sent from another copy of this file"
            elif self._tombstones.get((unit.head, key), 0) >= log.version:
                what = "was deleted by another copy of this file"
            elif not there[key]:
                what = "is missing there"
            else:
                what = "differs"
            yield {"kind": unit.head, "id": key, "what": what}

    @staticmethod
    def _collected(
        unit: Unit, heads: Iterable[Row], parts: Mapping[str, Iterable[Row]]
    ) -> dict[str, list[Any]]:
        """By key all rows of a unit, each as texts that tell values and types apart."""
        units: dict[str, list[Any]] = defaultdict(list)
        for row in heads:
            units[row[unit.key]].append((unit.head, _values(unit.head, row)))
        for table, column in unit.parts:
            for row in parts[table]:
                units[row[column]].append((table, _values(table, row)))
        return units

    def _of_epochs(self, run_id: str, number: int, waits: bool) -> Iterator[Difference]:
        here = {row["epoch"]: _values("epoch", row) for row in self._source.epochs(run_id, number)}
        there = {
            row["epoch"]: _values("epoch", row)
            for row in self._there.rows("epoch", "run_id", [run_id])
        }
        for epoch in sorted(here.keys() | there.keys()):
            if here.get(epoch) == there.get(epoch):
                continue
            what = "differs"
            if epoch not in there:
                what = "waits to be sent" if waits else "is missing there"
            elif epoch not in here:
                what = "is not in this file; another copy of it was sent"
            yield {"kind": "epoch", "id": f"{run_id} {epoch}", "what": what}

    def _not_here(self, here: Mapping[str, set[str]]) -> Iterator[Difference]:
        """What the central store has of programs that are in this file, and the file has not."""
        executions = sorted(here["execution"])
        for unit in UNITS:
            if "execution_id" not in dialect.tables()[unit.head].columns:
                continue
            for row in self._there.rows(unit.head, "execution_id", executions):
                if row[unit.key] not in here[unit.head]:
                    what = "is not in this file; another copy of it was sent"
                    yield {"kind": unit.head, "id": row[unit.key], "what": what}


def _values(table: str, row: Row) -> tuple[str, ...]:
    names: Sequence[str] = [
        name for name in dialect.tables()[table].columns if name not in IGNORED.get(table, ())
    ]
    metrics = sorted((row.get(METRICS) or {}).items())
    return (*(repr(row[name]) for name in names), repr(metrics))
