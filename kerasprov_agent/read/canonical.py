"""The canonical form of a program's record: the same digests wherever and however it is stored.

Each row is named by its table and its key. What people may add later (the name of a run, notes,
tags) and what differs between files (numbers of runs, the columns of metrics) is no part of it.
docs/evidence.md describes the form.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kerasprov_agent.read.record import Record, Row

OF_PEOPLE = {"run": {"number", "name", "note", "tags"}, "execution": {"tags"}}
"""Columns that may differ without harm."""
BY_EXECUTION = {
    "execution": ("id",), "module": ("execution_id", "name"), "cell": ("execution_id", "number"),
    "import": ("execution_id",), "entity": ("id",), "compile": ("id",), "search": ("id",),
    "run": ("id",), "evaluation": ("id",), "activity": ("id",),
}  # fmt: skip
BY_RUN = {
    "param": ("run_id", "source", "name"), "optimizer": ("run_id", "position"),
    "change": ("run_id", "position"), "event": ("run_id", "position"),
    "callback": ("run_id", "position"),
}  # fmt: skip
BY_ENTITY = {
    "file": ("entity_id",), "array": ("entity_id", "position"), "generated": ("entity_id",),
    "derived": ("entity_id", "source_id"),
}  # fmt: skip
"""Tables and their keys, by what leads to their rows."""
SOURCES = (
    "SELECT script_sha256 FROM execution WHERE id = :id UNION "
    "SELECT git_diff_sha256 FROM execution WHERE id = :id UNION "
    "SELECT sha256 FROM module WHERE execution_id = :id UNION "
    "SELECT sha256 FROM cell WHERE execution_id = :id"
)
ARCHITECTURES = (
    "SELECT architecture_id FROM run WHERE execution_id = :id UNION "
    "SELECT architecture_id FROM entity WHERE execution_id = :id"
)
SETS = (
    "SELECT f.sha256 FROM file f JOIN entity e ON e.id = f.entity_id "
    "WHERE e.execution_id = :id AND e.kind = 'files'"
)


class Canonical(NamedTuple):
    """A row: its table, its key as text, and its values that are not NULL, each as text."""

    table: str
    key: str
    values: dict[str, str]

    @property
    def digest(self) -> str:
        """sha256 of the row."""
        return _sha256([self.table, self.key, sorted(self.values.items())])


class Digest(NamedTuple):
    """The digests of a table's rows: of all, by row, by column."""

    whole: str
    rows: dict[str, str]
    columns: dict[str, str]


def rows(record: Record, execution_id: str) -> Iterator[Canonical]:
    """All that belongs to a program, and the contents that it refers to."""
    values = {"id": execution_id, "from": f"{execution_id}#", "to": f"{execution_id}$"}
    within = "{0} = :id OR {0} >= :from AND {0} < :to"
    for table, key in BY_EXECUTION.items():
        column = "id" if table == "execution" else "execution_id"
        query = f'SELECT * FROM "{table}" WHERE {column} = :id'
        yield from _canonical(record, table, key, record.query(query, values))
    for table, key in BY_RUN.items():
        query = f'SELECT * FROM "{table}" WHERE {within.format("run_id")}'
        yield from _canonical(record, table, key, record.query(query, values))
    for table, key in BY_ENTITY.items():
        query = f'SELECT * FROM "{table}" WHERE {within.format("entity_id")}'
        yield from _canonical(record, table, key, record.query(query, values))
    query = f"SELECT * FROM used WHERE {within.format('activity_id')}"
    key = ("activity_id", "entity_id", "role")
    yield from _canonical(record, "used", key, record.query(query, values))
    query = (
        "SELECT * FROM trial WHERE search_id IN (SELECT id FROM search WHERE execution_id = :id)"
    )
    yield from _canonical(record, "trial", ("id",), record.query(query, values))
    query = (
        "SELECT r.id AS run_id, p.* FROM epoch p JOIN run r ON r.number = p.run "
        "WHERE r.execution_id = :id"
    )
    yield from _canonical(record, "epoch", ("run_id", "epoch"), record.query(query, values))
    yield from _contents(record, values)


def _contents(record: Record, values: dict[str, str]) -> Iterator[Canonical]:
    """What is stored once, by what is in it."""
    for row in record.query(f"SELECT * FROM source WHERE sha256 IN ({SOURCES})", values):
        try:
            text = hashlib.sha256(zlib.decompress(row.pop("zlib"))).hexdigest()
        except (zlib.error, TypeError):
            text = "can't be unpacked"
        yield from _canonical(record, "source", ("sha256",), [{**row, "text": text}])
    query = f"SELECT * FROM architecture WHERE id IN ({ARCHITECTURES})"
    yield from _canonical(record, "architecture", ("id",), record.query(query, values))
    query = f"SELECT * FROM layer WHERE architecture_id IN ({ARCHITECTURES})"
    key = ("architecture_id", "position")
    yield from _canonical(record, "layer", key, record.query(query, values))
    query = (
        "SELECT p.* FROM package p JOIN execution e ON e.packages_sha256 = p.packages_sha256 "
        "WHERE e.id = :id"
    )
    key = ("packages_sha256", "name")
    yield from _canonical(record, "package", key, record.query(query, values))
    query = f"SELECT sha256, files FROM manifest WHERE sha256 IN ({SETS})"
    yield from _canonical(record, "manifest", ("sha256",), record.query(query, values))
    query = (
        "SELECT n.sha256 AS manifest, m.path, c.bytes, c.sha256, c.partial_sha256 "
        "FROM manifest n JOIN member m ON m.manifest = n.number "
        f"JOIN content c ON c.number = m.content WHERE n.sha256 IN ({SETS})"
    )
    yield from _canonical(record, "member", ("manifest", "path"), record.query(query, values))


def _canonical(
    record: Record, table: str, key: tuple[str, ...], found: Iterable[Row]
) -> Iterator[Canonical]:
    left_out = {*key, *OF_PEOPLE.get(table, ())} | ({"run"} if table == "epoch" else set())
    names = record.metrics if table in ("epoch", "evaluation") else {}
    for row in found:
        values = {
            f"metric.{names[column]}" if column in names else column: _text(value)
            for column, value in row.items()
            if value is not None and column not in left_out
        }
        yield Canonical(table, json.dumps([row[name] for name in key], ensure_ascii=False), values)


def _text(value: Any) -> str:
    """A value with its type; a number so that not one bit of it is lost."""
    if isinstance(value, float):
        return f"f:{value.hex()}"
    if isinstance(value, bytes):
        return f"b:{value.hex()}"
    return f"{'i' if isinstance(value, int) else 't'}:{value}"


def digests(found: Iterable[Canonical]) -> dict[str, Digest]:
    """The digests of rows by table."""
    by_table: dict[str, list[Canonical]] = {}
    for row in found:
        by_table.setdefault(row.table, []).append(row)
    return {table: _digest(members) for table, members in sorted(by_table.items())}


def _digest(members: list[Canonical]) -> Digest:
    ordered = sorted(members, key=lambda row: row.key)
    by_row = {row.key: row.digest for row in ordered}
    columns = sorted({name for row in ordered for name in row.values})
    by_column = {
        name: _sha256([[row.key, row.values[name]] for row in ordered if name in row.values])
        for name in columns
    }
    return Digest(_sha256(sorted(by_row.items())), by_row, by_column)


def _sha256(value: Any) -> str:
    """sha256 of JSON in one form: no spaces, UTF-8, half surrogates as they are."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def whole(found: dict[str, Digest]) -> str:
    """The digest of a program's record: of its tables by name."""
    return _sha256(sorted((table, digest.whole) for table, digest in found.items()))
