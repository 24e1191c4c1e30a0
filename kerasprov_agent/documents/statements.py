"""Rows of the database as PROV statements. Pure: reads a connection, yields values.

The mapping is told in `docs/prov.md`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from kerasprov_agent.documents import entities, execution, training, uses
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement
from kerasprov_agent.documents.vocabulary import NAMESPACES, execution_namespace


def statements(
    connection: sqlite3.Connection, execution_id: str, run_id: str | None = None
) -> Iterator[Statement]:
    """The document of an execution; with `run_id`, what belongs to that run."""
    scope = Scope(connection, execution_id, run_id)
    yield Statement("prefix", "run", (execution_namespace(execution_id),))
    for prefix, namespace in NAMESPACES.items():
        yield Statement("prefix", prefix, (namespace,))
    yield from execution.agents(scope)
    yield from execution.program(scope)
    yield from training.architectures(scope)
    for row in scope.compiles:
        yield from training.compiled(scope, row)
    for row in scope.searches:
        yield from uses.search(scope, row)
    for row in scope.runs:
        yield from training.fit(scope, row)
    for row in scope.evaluations:
        yield from uses.evaluation(scope, row)
    for row in scope.predictions:
        yield from uses.prediction(scope, row)
    yield from entities.entities(scope)
    yield from execution.document(scope)
