"""Takes runs out of a database: what belongs to them, and what nothing refers to any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from kerasprov_agent.store import copying

OF_RUN = ("param", "optimizer", "change", "event", "callback")
SHARED = (
    ("architecture", "id", ("run.architecture_id", "entity.architecture_id")),
    (
        "source",
        "sha256",
        (
            "execution.script_sha256",
            "execution.git_diff_sha256",
            "module.sha256",
            "cell.sha256",
        ),
    ),
)
"""What is stored once by its content, its key, and the columns that refer to it."""
REFERENCES = (
    "used.entity_id", "generated.entity_id", "derived.entity_id", "derived.source_id",
    "run.initial_model_id", "run.trained_model_id", "run.training_data_id",
    "run.validation_data_id", "compile.model_id", "evaluation.model_id", "evaluation.data_id",
    "activity.model_id", "activity.data_id",
)  # fmt: skip
"""The columns that refer to an entity."""


def delete_runs(connection: sqlite3.Connection, run_ids: Sequence[str]) -> None:
    """Delete runs; with the last one of an execution that too. The caller has the transaction."""
    executions = set()
    for run_id in run_ids:
        number, execution_id = connection.execute(
            "SELECT number, execution_id FROM run WHERE id = ?", (run_id,)
        ).fetchone()
        executions.add(execution_id)
        _delete_run(connection, run_id, number)
    for execution_id in executions:
        left = "SELECT 1 FROM run WHERE execution_id = ? LIMIT 1"
        if connection.execute(left, (execution_id,)).fetchone():
            _sweep_entities(connection, execution_id)
        else:
            delete_execution(connection, execution_id)
    _sweep_shared(connection)


def _delete_run(connection: sqlite3.Connection, run_id: str, number: int) -> None:
    activities = [run_id]
    for table in ("evaluation", "activity"):
        query = f"SELECT id FROM {table} WHERE run_id = ?"
        activities += [row[0] for row in connection.execute(query, (run_id,))]
        connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
    for activity in activities:
        for table in ("used", "generated", "derived"):
            connection.execute(f"DELETE FROM {table} WHERE activity_id = ?", (activity,))
    for table in OF_RUN:
        connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
    connection.execute("DELETE FROM epoch WHERE run = ?", (number,))
    connection.execute("DELETE FROM run WHERE number = ?", (number,))


def delete_execution(connection: sqlite3.Connection, execution_id: str) -> None:
    """Delete a program with its runs; what it shares with others stays."""
    own = {"execution": execution_id}
    # Another program may have used what this one made: then only that it did is forgotten.
    entities = "(SELECT id FROM entity WHERE execution_id = :execution)"
    connection.execute(f"DELETE FROM derived WHERE source_id IN {entities}", own)
    for table, condition in reversed(copying.IN_ORDER):
        if table not in copying.SHARED:
            connection.execute(f"DELETE FROM {table} WHERE {condition}", own)


def _sweep_entities(connection: sqlite3.Connection, execution_id: str) -> None:
    """Entities of an execution to which nothing refers any more."""
    referred = " UNION ".join(_column(reference) for reference in REFERENCES)
    orphans = f"SELECT id FROM entity WHERE execution_id = ? AND id NOT IN ({referred})"
    for (entity_id,) in connection.execute(orphans, (execution_id,)).fetchall():
        for table in ("file", "array"):
            connection.execute(f"DELETE FROM {table} WHERE entity_id = ?", (entity_id,))
        connection.execute("DELETE FROM entity WHERE id = ?", (entity_id,))


def _sweep_shared(connection: sqlite3.Connection) -> None:
    for table, key, references in SHARED:
        referred = " UNION ".join(map(_column, references))
        connection.execute(f"DELETE FROM {table} WHERE {key} NOT IN ({referred})")
    connection.execute(
        "DELETE FROM layer WHERE architecture_id NOT IN (SELECT id FROM architecture)"
    )
    # A set whose members are still being written down has no file that refers to it yet.
    without_file = (
        "(SELECT number FROM manifest WHERE files IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM file f WHERE f.sha256 = manifest.sha256))"
    )
    connection.execute(f"DELETE FROM member WHERE manifest IN {without_file}")
    connection.execute(f"DELETE FROM manifest WHERE number IN {without_file}")
    connection.execute("DELETE FROM content WHERE number NOT IN (SELECT content FROM member)")
    connection.execute(
        "DELETE FROM package WHERE packages_sha256 NOT IN "
        "(SELECT packages_sha256 FROM execution WHERE packages_sha256 IS NOT NULL)"
    )


def _column(reference: str) -> str:
    table, _, column = reference.partition(".")
    return f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"
