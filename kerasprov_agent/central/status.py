"""Which databases send to a central store, and whether they still do."""

from __future__ import annotations

from typing import Any

from kerasprov_agent.central import server

QUERY = """
SELECT s.id AS store, s.host, s._writer AS role, s.seen_at::text AS seen_at,
    extract(epoch FROM clock_timestamp() - s.seen_at)::float8 AS seconds_ago, s.waiting,
    s.clock_offset
FROM kerasprov.store s ORDER BY s.seen_at DESC
"""


def stores(url: str) -> list[dict[str, Any]]:
    """The databases, the one that was heard of last first; times are those of the server's clock.

    `waiting`: the units that it had still to send then; `clock_offset`: how many seconds the clock
    of the machine that sent was ahead. Raises `KerasProvError`.
    """
    with server.connected(url) as connection:
        cursor = connection.execute(QUERY)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]
