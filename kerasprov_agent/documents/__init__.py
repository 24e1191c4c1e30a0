"""W3C PROV documents of what the database holds: `statements` makes them, the writers write them.

Only reads the database. Needs the standard library alone; `prov` is for other formats and tests.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import IO

from kerasprov_agent.documents import prov_json, provn, turtle
from kerasprov_agent.documents.statement import Statement
from kerasprov_agent.documents.statements import statements
from kerasprov_agent.store import database

Write = Callable[[Iterable[Statement], IO[str]], None]

FORMATS: dict[str, Write] = {
    "json": prov_json.write,
    "provn": provn.write,
    "turtle": turtle.write,
}
"""How a document is written, by the name of its format."""


def write(
    connection: sqlite3.Connection,
    execution_id: str,
    stream: IO[str],
    format: str = "json",
    run_id: str | None = None,
) -> None:
    """Write the document of an execution, or the part of it that belongs to one run."""
    FORMATS[format](statements(connection, execution_id, run_id), stream)


def write_file(
    path_of_database: str,
    execution_id: str,
    path: str,
    format: str = "json",
    run_id: str | None = None,
) -> None:
    """Write a document beside `path`, then put it in its place: never half a file."""
    with closing(database.open_for_reading(path_of_database)) as connection:
        replace_file(path, lambda out: write(connection, execution_id, out, format, run_id))


def replace_file(path: str, fill: Callable[[IO[str]], None]) -> None:
    """Let `fill` write a file beside `path`, which then takes its place. Raises OSError."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    beside = Path(f"{path}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as stream:
            fill(stream)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
