"""Months that are over, as Parquet files: for years of epochs, which DuckDB and Spark read."""

from __future__ import annotations

import re
from typing import Any

from kerasprov_agent.central import dialect, server
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.replacing import replaced

ROWS = 50_000
"""Rows of a group in the file."""
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def export(url: str, month: str, target: str) -> int:
    """Write the epochs that began in a month, with their runs; returns how many.

    month: such as 2026-10, in UTC; it has to be over by the server's clock. A file that is there is
    replaced. Raises `KerasProvError`.
    """
    if not MONTH.fullmatch(month):
        raise KerasProvError(f"{month!r} is no month such as 2026-10")
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as exc:
        raise KerasProvError(
            "Parquet needs pyarrow: pip install 'kerasprov_agent[export]'"
        ) from exc
    with server.connected(url) as connection:
        day = f"{month}-01"
        over = "SELECT %s::date + interval '1 month' <= clock_timestamp() AT TIME ZONE 'UTC'"
        if connection.execute(over, (day,)).fetchone() != (True,):
            raise KerasProvError(f"{month} is not over; more epochs may come")
        names, types = _columns(connection)
        schema = pa.schema([(name, getattr(pa, types[name])()) for name in names])
        columns = ", ".join(f"p.{dialect.quoted(name)}" for name in names[3:])
        query = (
            f"SELECT r.number, p.run_id, r.name, {columns} FROM {dialect.SCHEMA}.epoch p "
            f"JOIN {dialect.SCHEMA}.run r ON r.id = p.run_id "
            "WHERE p._month = %s ORDER BY r.number, p.epoch"
        )
        rows = 0
        with (
            replaced(target) as beside,
            pq.ParquetWriter(beside, schema, compression="zstd") as file,
            connection.cursor("epochs") as cursor,
        ):
            cursor.itersize = ROWS
            cursor.execute(query, (day,))
            while some := cursor.fetchmany(ROWS):
                arrays = [
                    pa.array(column, field.type)
                    for column, field in zip(zip(*some, strict=True), schema, strict=True)
                ]
                file.write_table(pa.Table.from_arrays(arrays, schema=schema))
                rows += len(some)
    return rows


def _columns(connection: Any) -> tuple[list[str], dict[str, str]]:
    """The columns of the file, and what pyarrow calls their types."""
    known = dialect.tables()["epoch"].columns
    arrow = {"text": "string", "bigint": "int64", "double precision": "float64"}
    types = {"run": "int64", "run_id": "string", "run_name": "string"}
    types |= {name: arrow[type_] for name, type_ in known.items() if name != "run_id"}
    metrics = connection.execute(f"SELECT column_name FROM {dialect.SCHEMA}.metric ORDER BY 1")
    types |= dict.fromkeys((name for (name,) in metrics), "float64")
    return list(types), types
