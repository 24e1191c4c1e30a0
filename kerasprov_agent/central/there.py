"""What is in the central store, in the form that SQLite has it in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kerasprov_agent.central import dialect
from kerasprov_agent.central.source import METRICS, Row

if TYPE_CHECKING:
    from kerasprov_agent.central.server import Connection

AT_ONCE = 5000
"""Rows that are fetched at once."""


class There:
    """One state of a central store: of the transaction that the connection is in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # In the order in which a new metric's column is made: else each could wait for the other.
        measured = ", ".join(map(dialect.qualified, dialect.MEASURED))
        connection.execute(f"LOCK TABLE {measured} IN ACCESS SHARE MODE")
        self._metrics = dict(
            connection.execute(f"SELECT column_name, name FROM {dialect.SCHEMA}.metric").fetchall()
        )

    def rows(
        self, table: str, column: str | None = None, keys: Sequence[Any] = (), further: str = ""
    ) -> Iterator[Row]:
        """The rows of a table, or those whose `column` has one of some keys.

        Metrics stand by their names under `METRICS`; `further`: columns that SQLite does not have.
        """
        known = dialect.tables()[table]
        condition = f" WHERE {dialect.quoted(column)} = ANY(%s)" if column else ""
        order = ", ".join(map(dialect.quoted, known.key))
        query = f"SELECT * FROM {dialect.qualified(table)}{condition} ORDER BY {order}"
        with self._connection.cursor(f"rows_of_{table}") as cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(query, (list(keys),) if column else None)
            for values in cursor:
                names = [found.name for found in cursor.description or ()]
                row = dialect.from_columns(known, names, values)
                found = dict(zip(names, values, strict=True))
                if table in dialect.MEASURED:
                    row[METRICS] = self._measured(found)
                if further:
                    row |= {name: found[name] for name in further.split()}
                yield row

    def _measured(self, found: Row) -> Row:
        values = {
            name: found[column]
            for column, name in self._metrics.items()
            if found.get(column) is not None
        }
        further = found["_metrics"] or {}
        return values | {name: dialect.from_plain(value) for name, value in further.items()}
