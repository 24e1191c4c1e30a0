"""Values as JSON can hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from kerasprov_agent.read.conditions import SQL
from kerasprov_agent.read.record import Record

MOST_RUNS = 10_000
"""An address names no more runs."""
LARGEST = 2**53
"""Up to here JavaScript tells integers apart."""


def plain(value: Any) -> Any:
    """A value of the record for JSON.

    NaN and infinities are texts (`NaN`, `Infinity`, `-Infinity`), as are integers that JavaScript
    would round; of bytes only their number is told.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST:
        return str(value)
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def table(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as `columns` (their names, in order) and `rows` (lists of values)."""
    listed = list(rows)
    columns = list(dict.fromkeys(name for row in listed for name in row))
    return {
        "columns": columns,
        "rows": [[plain(row.get(name)) for name in columns] for row in listed],
    }


def count(record: Record, query: SQL) -> int:
    """How many rows a query returns."""
    text = f"SELECT count(*) AS n FROM ({query.text})"
    return int(next(iter(record.query(text, query.values)))["n"])


def numbers(text: str) -> list[int]:
    """Runs as an address names them: `1-3,7` is 1, 2, 3, 7; raises ValueError."""
    runs: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        start, end = int(first), int(last or first)
        end = min(end, start + MOST_RUNS)
        runs += range(start, end + 1)
        if len(runs) > MOST_RUNS:
            raise ValueError(f"more than {MOST_RUNS} runs")
    return list(dict.fromkeys(runs))
