"""Models and data sets in PROV: what used, made and derived them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import (
    Statement,
    generated,
    present,
    use_name,
    used,
)
from kerasprov_agent.documents.vocabulary import (
    Name,
    local,
)


def entities(scope: Scope) -> Iterator[Statement]:
    """Models and data sets, with what used, made and derived them among the activities here."""
    uses = [
        row
        for row in scope.rows(
            "SELECT u.* FROM used u JOIN entity e ON e.id = u.entity_id "
            "WHERE e.execution_id = ? ORDER BY u.at", scope.execution["id"]
        )
        if row["activity_id"] in scope.activities
    ]  # fmt: skip
    made = [
        row
        for row in scope.rows(
            "SELECT g.* FROM generated g JOIN entity e ON e.id = g.entity_id "
            "WHERE e.execution_id = ? ORDER BY g.at", scope.execution["id"]
        )
        if row["activity_id"] in scope.activities
    ]  # fmt: skip
    wanted = {row["entity_id"] for row in uses}
    wanted |= {
        row["entity_id"]
        for row in made
        if not scope.run_id or row["activity_id"] != scope.execution["id"]
    }
    for row in scope.rows(
        "SELECT * FROM entity WHERE execution_id = ? ORDER BY seen_at, id",
        scope.execution["id"],
    ):
        if row["id"] in wanted:
            yield entity_of(scope, row)
            if row["kind"] == "dataset":
                yield generated(local(row["id"]), local(scope.execution["id"]), None)
    for row in uses:
        yield used(local(row["activity_id"]), local(row["entity_id"]), row["at"], row["role"])
    for row in made:
        if row["entity_id"] in wanted:
            yield generated(local(row["entity_id"]), local(row["activity_id"]), row["at"])
    yield from derivations(scope, wanted, uses)


def entity_of(scope: Scope, row: sqlite3.Row) -> Statement:
    """A model in one state, or a data set in memory."""
    if row["kind"] == "model":
        types: tuple[str, ...] = ("mls:Model",)
        label = f"model {row['name'] or ''}".strip()
    else:
        types, label = ("kp:InMemoryDataset", "mls:Data"), str(row["name"]).replace("_", " ")
    arrays = scope.rows("SELECT * FROM array WHERE entity_id = ? ORDER BY position", row["id"])
    return Statement(
        "entity",
        local(row["id"]),
        (),
        present(
            *(("prov:type", Name(kind)) for kind in types),
            ("prov:label", label),
            ("kp:className", row["class_name"]),
            ("kp:samples", row["samples"]),
            ("kp:batches", row["batches"]),
            ("kp:batchSize", row["batch_size"]),
            *(("kp:array", array_text(array)) for array in arrays),
        ),
    )


def derivations(scope: Scope, wanted: set[str], uses: list[sqlite3.Row]) -> Iterator[Statement]:
    """What came of what: a model of its earlier state, and of the data that it was trained on."""
    usage = {(row["activity_id"], row["entity_id"]): row["role"] for row in uses}
    for row in scope.rows(
        "SELECT d.* FROM derived d JOIN entity e ON e.id = d.entity_id "
        "WHERE e.execution_id = ? ORDER BY e.seen_at",
        scope.execution["id"],
    ):
        if row["entity_id"] not in wanted or row["source_id"] not in wanted:
            continue
        yield derivation(scope, row, row["source_id"], usage, revision=True)
    for run in scope.runs:
        made = run["trained_model_id"]
        if made in wanted and run["training_data_id"] in wanted:
            row = {"entity_id": made, "activity_id": run["id"]}  # type: ignore[assignment]
            yield derivation(scope, row, run["training_data_id"], usage, revision=False)


def derivation(
    scope: Scope, row: Any, source_id: str, usage: dict[tuple[str, str], str], revision: bool
) -> Statement:
    """One derivation, with activity, generation and usage where they are in the document."""
    entity, source = local(row["entity_id"]), local(source_id)
    activity = local(row["activity_id"])
    role = usage.get((row["activity_id"], source_id))
    kind = (("prov:type", Name("prov:Revision")),) if revision else ()
    formal: tuple[str | None, ...] = (entity, source, None, None, None)
    if row["activity_id"] in scope.activities:
        formal = (entity, source, activity, None, None)
        if role is not None:
            generation = Name(f"{entity}-made-by-{activity.partition(':')[2]}")
            formal = (entity, source, activity, generation, use_name(activity, source, role))
    return Statement("wasDerivedFrom", None, formal, kind)


def array_text(array: sqlite3.Row) -> str:
    """An array in one line."""
    path = f" {array['path']}" if array["path"] else ""
    return f"{array['role']}{path}: {array['dtype']} {array['shape']}"
