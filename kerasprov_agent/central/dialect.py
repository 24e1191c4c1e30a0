"""PostgreSQL's side of the schema, made from SQLite's: tables, rights, and values both ways.

Columns have the names that they have in SQLite. Beside them stand `_version` (of the unit, see
`store/outbox.py`), `_writer` (the role that sent the row), `_at` (when, by the server's clock) and
`_odd` (values that do not fit the column's type, which SQLite allows, as JSON).
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from kerasprov_agent.store import database, schema
from kerasprov_agent.store.outbox import UNITS

SCHEMA = "kerasprov"
WRITER, READER = "kerasprov_writer", "kerasprov_reader"
"""The roles that get the rights; people's roles are made members of them."""
METRIC_COLUMNS = 500
"""So many metrics have columns; further ones stand in `_metrics` as JSON."""
NO_MONTH = "1970-01-01"
LAST_SECOND = 4e9
"""Of the year 2096: a later time is none that a clock showed."""
NAME_BYTES = 63
"""PostgreSQL cuts longer names."""
TYPES = {
    "TEXT": "text",
    "INTEGER": "bigint",
    "REAL": "double precision",
    "BLOB": "bytea",
    "": "json",
}
LEFT_OUT = {"run": ("number",), "epoch": ("run",), "manifest": ("number",), "member": ("manifest",)}
"""Numbers are a file's own; another column stands for them."""
INSTEAD = {"epoch": ("run_id",), "member": ("manifest_sha256", "bytes", "sha256", "partial_sha256")}
MEASURED = ("epoch", "evaluation")
"""Tables with a column for each metric."""
WITH_VERSION = tuple(unit.head for unit in UNITS)
MEMBER = "manifest_sha256", "path"


class Table(NamedTuple):
    """A table there: the names and types of its columns, and its key."""

    name: str
    columns: dict[str, str]
    """By name the type in PostgreSQL."""
    key: tuple[str, ...]


@cache
def tables() -> dict[str, Table]:
    """The tables that hold what travels, by name."""
    connection = database.in_memory()
    try:
        return {name: _table(connection, name) for name in _names()}
    finally:
        connection.close()


def _names() -> Iterator[str]:
    for unit in UNITS:
        yield unit.head
        yield from (table for table, _ in unit.parts)
    yield "epoch"
    yield "member"


def _table(connection: sqlite3.Connection, name: str) -> Table:
    rows = connection.execute(f"PRAGMA table_info({name})").fetchall()
    columns = dict.fromkeys(INSTEAD.get(name, ()), "text")
    if name == "member":
        columns["bytes"] = "bigint"
    columns |= {
        row[1]: TYPES[row[2]]
        for row in rows
        if row[1] not in LEFT_OUT.get(name, ()) and (name, row[1]) != ("member", "content")
    }
    key = tuple(row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5])
    key = {
        "run": ("id",),
        "epoch": ("run_id", "epoch"),
        "member": MEMBER,
        "manifest": ("sha256",),
    }.get(name, key)
    return Table(name, columns, key)


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(table: str) -> str:
    """A table's name with its schema."""
    return f"{SCHEMA}.{quoted(table)}"


def statements(by_month: bool = False) -> Iterator[str]:
    """What makes a central store, or brings one up to date; each can be run again.

    by_month: epochs lie in a table for each month. Of a store that is there it changes nothing.
    """
    yield f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"
    yield f"CREATE TABLE IF NOT EXISTS {SCHEMA}.meta (key text PRIMARY KEY, value text)"
    yield (
        f"CREATE TABLE IF NOT EXISTS {SCHEMA}.store (id text PRIMARY KEY, host text, "
        "clock_offset double precision, seen_at timestamptz, waiting bigint, "
        "_writer name NOT NULL DEFAULT current_user)"
    )
    yield (
        f"CREATE TABLE IF NOT EXISTS {SCHEMA}.tombstone (kind text, id text, "
        "version bigint NOT NULL, _writer name NOT NULL DEFAULT current_user, "
        "PRIMARY KEY (kind, id))"
    )
    yield (
        f"CREATE TABLE IF NOT EXISTS {SCHEMA}.metric (name text PRIMARY KEY, "
        "column_name text NOT NULL UNIQUE)"
    )
    for table in tables().values():
        yield from _table_statements(table, by_month and table.name == "epoch")
    if by_month:
        yield f"CREATE TABLE IF NOT EXISTS {SCHEMA}.epoch_other PARTITION OF {SCHEMA}.epoch DEFAULT"
    yield f"CREATE INDEX IF NOT EXISTS file_content ON {SCHEMA}.file (sha256)"
    yield f"CREATE INDEX IF NOT EXISTS run_execution ON {SCHEMA}.run (execution_id)"
    yield f"CREATE INDEX IF NOT EXISTS entity_execution ON {SCHEMA}.entity (execution_id)"
    yield f"CREATE INDEX IF NOT EXISTS epoch_began ON {SCHEMA}.epoch USING brin (started_at)"
    yield _METRIC_COLUMN
    yield _MONTH
    yield from _rights()


def _table_statements(table: Table, by_month: bool) -> Iterator[str]:
    name = qualified(table.name)
    columns = [f"{quoted(column)} {type_}" for column, type_ in table.columns.items()]
    if table.name == "run":
        columns.insert(0, "number bigint GENERATED BY DEFAULT AS IDENTITY UNIQUE")
    columns += ["_odd json", "_writer name NOT NULL DEFAULT current_user",
                "_at timestamptz NOT NULL DEFAULT clock_timestamp()"]  # fmt: skip
    if table.name in WITH_VERSION:
        columns.append("_version bigint NOT NULL DEFAULT 0")
    if table.name == "run":
        columns.append("_epochs_version bigint NOT NULL DEFAULT 0")
    if table.name in MEASURED:
        columns.append("_metrics json")
    key = ", ".join(map(quoted, table.key))
    if table.name == "epoch":
        columns.append(f"_month date NOT NULL DEFAULT '{NO_MONTH}'")
        key += ", _month"
    made = f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)}, PRIMARY KEY ({key}))"
    yield f"{made} PARTITION BY RANGE (_month)" if by_month else made
    for column in columns:  # of a later schema
        yield f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column.replace(' UNIQUE', '')}"


_METRIC_COLUMN = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.metric_column(wanted text, candidate text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE found text;
BEGIN
    SELECT column_name INTO found FROM {SCHEMA}.metric WHERE name = wanted;
    IF found IS NOT NULL THEN RETURN found; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('kerasprov metric', 0));
    SELECT column_name INTO found FROM {SCHEMA}.metric WHERE name = wanted;
    IF found IS NOT NULL THEN RETURN found; END IF;
    IF (SELECT count(*) FROM {SCHEMA}.metric) >= {METRIC_COLUMNS} THEN RETURN NULL; END IF;
    IF EXISTS (
        SELECT 1 FROM {SCHEMA}.metric WHERE lower(column_name) = lower(candidate)
        UNION ALL SELECT 1 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '{SCHEMA}'
        AND c.relname IN ('epoch', 'evaluation') AND lower(a.attname) = lower(candidate))
    THEN candidate := 'metric_' || md5(wanted); END IF;
    -- The views are locked before their tables, as they are by who reads them.
    PERFORM {SCHEMA}.make_measured();
    EXECUTE format(
        'ALTER TABLE {SCHEMA}.epoch ADD COLUMN IF NOT EXISTS %I double precision', candidate);
    EXECUTE format(
        'ALTER TABLE {SCHEMA}.evaluation ADD COLUMN IF NOT EXISTS %I double precision', candidate);
    INSERT INTO {SCHEMA}.metric VALUES (wanted, candidate);
    PERFORM {SCHEMA}.make_measured();
    RETURN candidate;
END $$
"""


_MONTH = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.make_month(wanted date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE name text := 'epoch_' || to_char(wanted, 'YYYY_MM');
BEGIN
    IF to_regclass('{SCHEMA}.' || name) IS NOT NULL OR wanted <> date_trunc('month', wanted)
        OR (SELECT relkind <> 'p' FROM pg_class WHERE oid = '{SCHEMA}.epoch'::regclass)
    THEN RETURN; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('kerasprov month', 0));
    IF to_regclass('{SCHEMA}.' || name) IS NULL THEN
        EXECUTE format(
            'CREATE TABLE {SCHEMA}.%I PARTITION OF {SCHEMA}.epoch FOR VALUES FROM (%L) TO (%L)',
            name, wanted, (wanted + interval '1 month')::date);
    END IF;
END $$
"""


def month(started_at: Any) -> str:
    """The month in which an epoch began, as the date of its first day, in UTC."""
    if not isinstance(started_at, float) or not 0 < started_at < LAST_SECOND:
        return NO_MONTH
    return time.strftime("%Y-%m-01", time.gmtime(started_at))


def _rights() -> Iterator[str]:
    """The writer adds rows, and amends its own; what is shared by content it only adds."""
    yield f"GRANT USAGE ON SCHEMA {SCHEMA} TO {WRITER}, {READER}"
    for name in (*tables(), "meta", "metric", "store", "tombstone"):
        yield f"GRANT SELECT ON {qualified(name)} TO {WRITER}, {READER}"
    yield f"REVOKE ALL ON FUNCTION {SCHEMA}.metric_column(text, text) FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION {SCHEMA}.metric_column(text, text) TO {WRITER}"
    yield f"REVOKE ALL ON FUNCTION {SCHEMA}.make_month(date) FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION {SCHEMA}.make_month(date) TO {WRITER}"
    shared = {unit.head for unit in UNITS if unit.is_shared} | {"layer", "member"}
    for name in (*tables(), "store", "tombstone"):
        table = qualified(name)
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        for policy in ("seen", "added", "amended", "deleted"):
            yield f"DROP POLICY IF EXISTS {policy} ON {table}"
        own = "(_writer = current_user)"
        yield f"CREATE POLICY seen ON {table} FOR SELECT USING (true)"
        yield f"CREATE POLICY added ON {table} FOR INSERT WITH CHECK {own}"
        yield f"GRANT INSERT ON {table} TO {WRITER}"
        if name == "manifest":  # whose files another may have gone on to write down
            yield (
                f"CREATE POLICY amended ON {table} FOR UPDATE USING (files IS NULL) "
                "WITH CHECK (true)"
            )
            yield f"GRANT UPDATE (files) ON {table} TO {WRITER}"
        elif name not in shared:
            yield f"CREATE POLICY amended ON {table} FOR UPDATE USING {own} WITH CHECK {own}"
            yield f"CREATE POLICY deleted ON {table} FOR DELETE USING {own}"
            yield f"GRANT UPDATE, DELETE ON {table} TO {WRITER}"


def candidate(column: str) -> str:
    """The column that a metric should have: as in SQLite, where PostgreSQL can keep the name."""
    usable = len(column.encode()) <= NAME_BYTES and column and not column.startswith("_")
    if usable and column.lower() not in schema.RESERVED_COLUMNS:
        return column
    return f"metric_{_digest(column)}"


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]


_NOT_IN_TEXT = re.compile("[\0\ud800-\udfff]")


def to_columns(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of SQLite as PostgreSQL takes it; what does not fit its column stands in `_odd`."""
    values: dict[str, Any] = {}
    odd: dict[str, Any] = {}
    for name, type_ in table.columns.items():
        value = row.get(name)
        if type_ == "json":
            values[name] = None if value is None else json.dumps(plain(value))
        elif value is None or _fits(value, type_):
            values[name] = value
        else:
            values[name], odd[name] = None, plain(value)
    values["_odd"] = json.dumps(odd) if odd else None
    return values


def _fits(value: Any, type_: str) -> bool:
    if type_ == "text":
        return isinstance(value, str) and not _NOT_IN_TEXT.search(value)
    if type_ == "bigint":
        return isinstance(value, int)
    if type_ == "double precision":
        return isinstance(value, float)
    return isinstance(value, bytes)


def plain(value: Any) -> Any:
    """A value of SQLite as JSON that gives back exactly this value."""
    if isinstance(value, bytes):
        return {"blob": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"real": "inf" if value > 0 else "-inf"}
    if isinstance(value, str) and _NOT_IN_TEXT.search(value):
        return {"text": value.encode("utf-8", "surrogateescape").hex()}
    return value


def from_plain(value: Any) -> Any:
    """The value of SQLite that `plain` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    if kind == "blob":
        return bytes.fromhex(text)
    if kind == "text":
        return bytes.fromhex(text).decode("utf-8", "surrogateescape")
    return float(text)


def from_columns(table: Table, names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """A row of PostgreSQL as SQLite had it; `names` are those of its columns."""
    found = dict(zip(names, row, strict=True))
    values = {
        name: from_plain(found[name]) if type_ == "json" else found[name]
        for name, type_ in table.columns.items()
    }
    values |= {name: from_plain(value) for name, value in (found.get("_odd") or {}).items()}
    return values
