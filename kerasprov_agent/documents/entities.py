"""Models and data sets in PROV: what used, made and derived them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from kerasprov_agent.documents import files
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement, generated, present, use_name, used
from kerasprov_agent.documents.vocabulary import Name

USES = {
    "training_data": ("fair4ml:trainedOn", "mlso:trainedOn"),
    "validation_data": ("fair4ml:validatedOn",),
    "test_data": ("fair4ml:testedOn",),
}
"""How FAIR4ML and MLSO say what a model was trained, validated and tested on."""
DERIVED = (
    "SELECT {} FROM derived d JOIN entity e ON e.id = d.entity_id WHERE e.execution_id = ? "
    "AND coalesce(d.confidence, '') <> 'read_before' ORDER BY e.seen_at"
)
"""Derivations, except `read_before`: that a file was read earlier proves nothing."""


def entities(scope: Scope) -> Iterator[Statement]:
    """Models and data sets, with what used, made and derived them among the activities here."""
    uses = _of_activities(scope, "used")
    made = _of_activities(scope, "generated")
    wanted = _wanted(scope, uses, made)
    generated_here = {row["entity_id"] for row in made}
    data = _data_of_models(scope, uses)
    for row in scope.rows(
        "SELECT * FROM entity WHERE execution_id = ? ORDER BY seen_at, id",
        scope.execution["id"],
    ):
        if row["id"] not in wanted:
            continue
        if row["kind"] in ("file", "files"):
            yield from files.file_of(scope, row)
            continue
        yield entity_of(scope, row, data.get(row["id"], ()))
        if row["kind"] == "dataset" and row["id"] not in generated_here:
            yield generated(scope.local(row["id"]), scope.local(scope.execution["id"]), None)
    uses = [row for row in uses if row["entity_id"] in wanted]
    for row in uses:
        yield used(
            scope.local(row["activity_id"]), scope.local(row["entity_id"]), row["at"], row["role"]
        )
    for row in made:
        if row["entity_id"] in wanted:
            yield generated(
                scope.local(row["entity_id"]), scope.local(row["activity_id"]), row["at"]
            )
    yield from derivations(scope, wanted, uses)


def _data_of_models(
    scope: Scope, uses: list[sqlite3.Row]
) -> dict[str, list[tuple[str, Name | None]]]:
    """What each model was trained, validated and tested on; a trained one, and which it was."""
    tested = {row["activity_id"]: row["entity_id"] for row in uses if row["role"] == "model"}
    trained = {run["id"]: run["trained_model_id"] for run in scope.runs}
    found: dict[str, list[tuple[str, Name | None]]] = {}
    for row in uses:
        model_id = trained.get(row["activity_id"]) or tested.get(row["activity_id"])
        for term in USES.get(row["role"], ()) if model_id else ():
            told = (term, scope.local(row["entity_id"]))
            found.setdefault(str(model_id), []).append(told)
    return found


def _of_activities(scope: Scope, table: str) -> list[sqlite3.Row]:
    """The rows of `used` or `generated` that belong to the activities of this document."""
    rows = scope.rows(
        f"SELECT t.* FROM {table} t JOIN entity e ON e.id = t.entity_id "
        "WHERE e.execution_id = ? ORDER BY t.at",
        scope.execution["id"],
    )
    return [row for row in rows if row["activity_id"] in scope.activities]


def _wanted(scope: Scope, uses: list[sqlite3.Row], made: list[sqlite3.Row]) -> set[str]:
    """The entities of this document; in one of a single run what the run has to do with."""
    wanted = {
        row["entity_id"]
        for row in (*uses, *made)
        if not scope.partial or row["activity_id"] != scope.execution["id"]
    }
    sources: dict[str, list[str]] = {}
    for entity_id, source_id in scope.tuples(
        DERIVED.format("entity_id, source_id"), scope.execution["id"]
    ):
        sources.setdefault(entity_id, []).append(source_id)
    new = set(wanted)
    while new:
        new = {
            source
            for entity in new
            for source in sources.get(entity, ())
            if "#file" in source and source not in wanted
        }
        wanted |= new
    return wanted


def entity_of(
    scope: Scope, row: sqlite3.Row, data: Sequence[tuple[str, Name | None]] = ()
) -> Statement:
    """A model in one state, or a data set in memory; `data`: what a model was made with."""
    if row["kind"] == "model":
        types: tuple[str, ...] = ("mls:Model", "fair4ml:MLModel")
        label = f"model {row['name'] or ''}".strip()
    else:
        types, label = ("kp:InMemoryDataset", "mls:Data"), str(row["name"]).replace("_", " ")
    arrays = scope.rows("SELECT * FROM array WHERE entity_id = ? ORDER BY position", row["id"])
    return Statement(
        "entity",
        scope.local(row["id"]),
        (),
        present(
            *(("prov:type", Name(kind)) for kind in types),
            ("prov:label", label),
            ("kp:className", row["class_name"]),
            ("kp:samples", row["samples"]),
            ("kp:batches", row["batches"]),
            ("kp:batchSize", row["batch_size"]),
            ("kp:details", row["details"]),
            *(("kp:array", array_text(array)) for array in arrays),
            *dict.fromkeys(data),
        ),
    )


def derivations(scope: Scope, wanted: set[str], uses: list[sqlite3.Row]) -> Iterator[Statement]:
    """What came of what: a model of its earlier state, and of the data that it was trained on."""
    usage = {(row["activity_id"], row["entity_id"]): row["role"] for row in uses}
    for row in scope.rows(DERIVED.format("d.*"), scope.execution["id"]):
        if row["entity_id"] in wanted and row["source_id"] in wanted:
            revision = "#model-" in row["entity_id"] and "#model-" in row["source_id"]
            yield derivation(scope, row, row["source_id"], usage, revision)


def derivation(
    scope: Scope, row: Any, source_id: str, usage: dict[tuple[str, str], str], revision: bool
) -> Statement:
    """One derivation, with activity, generation and usage where they are in the document."""
    entity, source = scope.local(row["entity_id"]), scope.local(source_id)
    role = usage.get((row["activity_id"], source_id))
    kind = present(
        ("prov:type", Name("prov:Revision") if revision else None),
        ("kp:confidence", row["confidence"]),
    )
    formal: tuple[str | None, ...] = (entity, source, None, None, None)
    if row["activity_id"] in scope.activities:
        activity = scope.local(row["activity_id"])
        formal = (entity, source, activity, None, None)
        if role is not None:
            generation = Name(f"{entity}-made-by-{activity.partition(':')[2]}")
            formal = (entity, source, activity, generation, use_name(activity, source, role))
    return Statement("wasDerivedFrom", None, formal, kind)


def array_text(array: sqlite3.Row) -> str:
    """An array in one line."""
    path = f" {array['path']}" if array["path"] else ""
    return f"{array['role']}{path}: {array['dtype']} {array['shape']}"
