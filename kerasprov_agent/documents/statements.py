"""Rows of the database as PROV statements. Pure: reads a connection, yields values.

The mapping is told in `docs/prov.md`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from kerasprov_agent.documents import code, entities, execution, training, uses
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement
from kerasprov_agent.documents.vocabulary import execution_namespace, namespaces
from kerasprov_agent.settings import BASE

PROFILES = ("full", "summary")
"""With the epochs, or with what came of them together."""

Part = tuple[str, frozenset[str] | None]
"""An execution: as a whole, or some of its runs."""

SHARED = ("sw:", "agent:", "data:")
"""What lies under these prefixes is the same in several executions, and stated once."""


def statements(
    connection: sqlite3.Connection,
    parts: Sequence[Part],
    profile: str | None = None,
    bundles: bool = False,
    base: str = BASE,
) -> Iterator[Statement]:
    """One document of all parts, merged or with one bundle each.

    profile: one of `PROFILES`; if None, runs of more than `FULL_EPOCHS` epochs are summarised.
    """
    several = len({execution_id for execution_id, _ in parts}) > 1
    prefixes: dict[str, str] = {}
    for execution_id, _ in parts:
        prefixes.setdefault(execution_id, f"run{len(prefixes) + 1}" if several else "run")
    for execution_id, prefix in prefixes.items():
        yield Statement("prefix", prefix, (execution_namespace(execution_id),))
    for prefix, namespace in namespaces(base).items():
        yield Statement("prefix", prefix, (namespace,))
    stated: set[str] = set()
    for number, (execution_id, run_ids) in enumerate(parts, 1):
        scope = Scope(connection, prefixes[execution_id], execution_id, run_ids, profile)
        if bundles:
            bundle = scope.own(f"provenance-{number}")
            yield from once(execution.document(scope, bundle, scope.title()), stated)
            yield Statement("bundle", bundle, ())
            yield from once(content_of(scope), set())
            yield Statement("endBundle", None, ())
        else:
            yield from once(content_of(scope), stated)
            if number == len(parts):
                this = scope.own("provenance")
                yield from once(execution.document(scope, this, "this document"), stated)


def content_of(scope: Scope) -> Iterator[Statement]:
    """What is said of an execution, or of some of its runs."""
    yield from execution.agents(scope)
    yield from execution.program(scope)
    yield from code.program_code(scope)
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


def once(statements: Iterable[Statement], stated: set[str]) -> Iterator[Statement]:
    """Leave out what was stated of things that are the same in several executions."""
    for statement in statements:
        name = statement.id
        if name is not None and name.startswith(SHARED):
            if name in stated:
                continue
            stated.add(name)
        yield statement
