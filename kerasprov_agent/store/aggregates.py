"""Aggregates that SQLite lacks, for questions to the record: `std` and `median`.

`statistics` is imported where it is needed. It makes named tuples, by `eval` of a text; in a
program that ends, this makes Python forget that Ctrl-C ended it, and the exit status changes.
"""

from __future__ import annotations

import sqlite3
from typing import Any


class _Collected:
    """Keeps the numbers of a group until all have come; others are left out, as by `avg`."""

    def __init__(self) -> None:
        self._numbers: list[float] = []

    def step(self, value: Any, /) -> None:
        if isinstance(value, (int, float)):
            self._numbers.append(value)


class _Deviation(_Collected):
    """The standard deviation of a sample (n - 1), as papers give it; of a single number none."""

    def finalize(self) -> Any:
        import statistics

        return statistics.stdev(self._numbers) if len(self._numbers) > 1 else None


class _Median(_Collected):
    """The number in the middle; of an even count the mean of the two in the middle."""

    def finalize(self) -> Any:
        import statistics

        return statistics.median(self._numbers) if self._numbers else None


def add(connection: sqlite3.Connection) -> None:
    """Make them known to a connection."""
    connection.create_aggregate("std", 1, _Deviation)
    connection.create_aggregate("median", 1, _Median)
