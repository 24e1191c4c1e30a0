"""Copies what one database holds of an execution into another."""

from __future__ import annotations

import sqlite3
from typing import Any

from kerasprov_agent.store.operations import Catalogue, quoted
from kerasprov_agent.store.text import Stored

OWN = "execution_id = :execution"
OF_RUNS = "run_id IN (SELECT id FROM run WHERE execution_id = :execution)"
OF_ENTITIES = "entity_id IN (SELECT id FROM entity WHERE execution_id = :execution)"
OF_SETS = (
    "IN (SELECT m.number FROM manifest m JOIN file f ON f.sha256 = m.sha256 "
    "JOIN entity e ON e.id = f.entity_id WHERE e.execution_id = :execution)"
)
OF_SEARCHES = "search_id IN (SELECT id FROM search WHERE execution_id = :execution)"
IN_ORDER = (
    ("source", "1"),
    ("execution", "id = :execution"),
    ("package", "1"),
    ("import", OWN),
    ("module", OWN),
    ("cell", OWN),
    ("architecture", "1"),
    ("layer", "1"),
    ("entity", OWN),
    ("file", OF_ENTITIES),
    ("manifest", f"number {OF_SETS}"),
    ("content", f"number IN (SELECT content FROM member WHERE manifest {OF_SETS})"),
    ("member", f"manifest {OF_SETS}"),
    ("array", OF_ENTITIES),
    ("compile", OWN),
    ("search", OWN),
    ("trial", OF_SEARCHES),
    ("run", OWN),
    ("param", OF_RUNS),
    ("optimizer", OF_RUNS),
    ("change", OF_RUNS),
    ("event", OF_RUNS),
    ("callback", OF_RUNS),
    ("epoch", "run IN (SELECT number FROM run WHERE execution_id = :execution)"),
    ("evaluation", OWN),
    ("activity", OWN),
    ("used", OF_ENTITIES),
    ("generated", OF_ENTITIES),
    ("derived", OF_ENTITIES),
)
"""Tables that are shared by content are taken whole where they are small; the rest by execution."""
NUMBERED = {"run": ("id",), "manifest": ("sha256",), "content": ("sha256", "partial_sha256")}
"""Tables whose rows have numbers that are a file's own, and by what else the rows are known."""
SHARED = ("source", "package", "architecture", "layer", "manifest", "content", "member")
"""What several executions may have in common."""


def copy_execution(
    source: sqlite3.Connection, target: sqlite3.Connection, execution_id: str
) -> None:
    """Copy an execution, with everything that belongs to it, in one transaction."""
    target.execute("BEGIN IMMEDIATE")
    try:
        copy_within(source, target, execution_id)
        target.execute("COMMIT")
    except BaseException:
        if target.in_transaction:
            target.execute("ROLLBACK")
        raise


def copy_within(
    source: sqlite3.Connection, target: sqlite3.Connection, execution_id: str
) -> dict[int, int]:
    """As `copy_execution`, within the caller's transaction.

    The numbers of runs, manifests and contents are those of a file; the copy gets new ones. Returns
    those of the runs, the old ones and the new.
    """
    catalogue = Catalogue()
    renamed = dict(source.execute("SELECT column_name, name FROM metric"))
    numbers: dict[str, dict[int, int]] = {table: {} for table in NUMBERED}
    for table, condition in IN_ORDER:
        rows = source.execute(
            f"SELECT * FROM {table} WHERE {condition}", {"execution": execution_id}
        )
        columns = [
            catalogue.column(target, table, Stored(renamed[name])) or "more"
            if table in ("epoch", "evaluation") and name in renamed
            else name
            for (name, *_) in rows.description
        ]
        for row in rows:
            _copy_row(target, table, dict(zip(columns, row, strict=True)), numbers)
    return numbers["run"]


def _copy_row(
    target: sqlite3.Connection,
    table: str,
    row: dict[str, Any],
    numbers: dict[str, dict[int, int]],
) -> None:
    number = row.pop("number") if table in NUMBERED else None
    if table == "run":
        name, tried = row["name"], 1
        while target.execute(
            "SELECT 1 FROM run WHERE name = ? AND id <> ?", (name, row["id"])
        ).fetchone():
            tried += 1
            name = f"{row['label']}-{tried}"
        row["name"] = name
    elif table == "epoch":
        row["run"] = numbers["run"][row["run"]]
    elif table == "member":
        row["manifest"] = numbers["manifest"][row["manifest"]]
        row["content"] = numbers["content"][row["content"]]
    names = ", ".join(quoted(name) for name in row)
    marks = ", ".join("?" * len(row))
    target.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))
    if number is not None:
        condition = " OR ".join(f"{key} = ?" for key in NUMBERED[table])
        query = f"SELECT number FROM {table} WHERE {condition}"
        values = [row[key] for key in NUMBERED[table]]
        numbers[table][number] = target.execute(query, values).fetchone()[0]
