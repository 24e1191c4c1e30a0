"""Epochs and metrics in PROV."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from kerasprov_agent import clock
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement, Value, generated, literal
from kerasprov_agent.documents.vocabulary import Name, ncname

COLUMNS = (
    ("kp:steps", "steps"),
    ("kp:trainSeconds", "train_seconds"),
    ("kp:wholeSeconds", "whole_seconds"),
    ("kp:validationSeconds", "validation_seconds"),
    ("kp:callbackSeconds", "callback_seconds"),
    ("kp:firstStepSeconds", "first_step_seconds"),
    ("kp:learningRate", "learning_rate"),
    ("kp:learningRateAfter", "learning_rate_after"),
    ("kp:gpuAllocatedSeconds", "gpu_allocated_seconds"),
    ("kp:gpuBusySeconds", "gpu_busy_seconds"),
    ("kp:gpuSource", "gpu_source"),
    ("kp:gpuUtilization", "gpu_utilization"),
    ("kp:gpuEnergyJoules", "gpu_energy_joules"),
    ("kp:gpuMemoryPeakBytes", "gpu_memory_peak_bytes"),
)
"""What is said of an epoch, and the column that holds it."""

EPOCH = (("prov:type", Name("kp:Epoch")),)
MEASURED = (("prov:type", Name("mls:ModelEvaluation")),)


def epochs_of(scope: Scope, run: sqlite3.Row, fit: str) -> Iterator[Statement]:
    """The epochs of a run, each informed by the one before, and the history of their metrics."""
    count, last = scope.tuples(
        "SELECT count(*), max(epoch) FROM epoch WHERE run = ?", run["number"]
    )[0]
    if not count:
        return
    history = Name(f"{fit}-history")
    summary = scope.is_summary(run)
    said: tuple[tuple[str, Value], ...] = (
        ("prov:type", Name("kp:History")),
        ("prov:label", "history"),
        ("kp:epochs", count),
    )
    if summary:
        query = "SELECT * FROM epoch WHERE run = ? AND epoch = ?"
        (row,) = scope.rows(query, run["number"], last)
        changed = scope.tuples("SELECT count(*) FROM change WHERE run_id = ?", run["id"])[0][0]
        said = (*said, *metrics_of(scope, "epoch", row), ("kp:changes", changed))
    else:
        said = (*said, ("prov:type", Name("prov:Collection")))
    yield Statement("entity", history, (), said)
    yield generated(history, fit, scope.ends[run["id"]])
    if not summary:
        yield from _each(scope, run, fit, history)


def _each(scope: Scope, run: sqlite3.Row, fit: str, history: Name) -> Iterator[Statement]:
    before: Name | None = None
    places = scope.columns("epoch")
    pairs = [(name, places[column]) for name, column in COLUMNS]
    synchronized = places["synchronized"]
    parts = [places[f"{part}_seconds"] for part in ("train", "validation", "callback", "whole")]
    number, began = places["epoch"], places["started_at"]
    cursor = scope.connection.cursor()
    cursor.row_factory = sqlite3.Row
    # By place: a document of many runs is little else than epochs, and names are looked up slowly.
    for row in cursor.execute("SELECT * FROM epoch WHERE run = ? ORDER BY epoch", (run["number"],)):
        epoch = Name(f"{fit}-epoch-{row[number]}")
        lasted = sum([row[part] or 0 for part in parts])
        # Of an imported epoch it may not be known when it was.
        started = clock.iso(row[began]) if row[began] is not None else None
        ended = clock.iso(row[began] + lasted) if row[began] is not None else None
        attributes = (
            *EPOCH,
            ("prov:label", f"epoch {row[number]}"),
            ("dcterms:isPartOf", fit),
            ("kp:epoch", row[number]),
            *[(name, row[place]) for name, place in pairs if row[place] is not None],
        )
        if row[synchronized] is not None:
            attributes = (*attributes, ("kp:synchronized", bool(row[synchronized])))
        yield Statement("activity", epoch, (started, ended), attributes)
        if before is None:
            formal = (epoch, None, fit, started)
            yield Statement("wasStartedBy", Name(f"{epoch}-start"), formal)
        else:
            yield Statement("wasInformedBy", None, (epoch, before))
        metrics = Name(f"{epoch}-metrics")
        yield measured(scope, "epoch", metrics, f"metrics of epoch {row[number]}", row)
        yield generated(metrics, epoch, ended)
        yield Statement("hadMember", None, (history, metrics))
        before = epoch


def measured(scope: Scope, table: str, name: Name, label: str, row: sqlite3.Row) -> Statement:
    """The metrics of an epoch or an evaluation as an entity."""
    attributes = (*MEASURED, ("prov:label", label), *metrics_of(scope, table, row))
    return Statement("entity", name, (), attributes)


def metrics_of(scope: Scope, table: str, row: sqlite3.Row) -> Iterator[tuple[str, Value]]:
    """Metrics under the names that they can have in PROV; NaN is NaN."""
    nonfinite = json.loads(row["nonfinite"]) if row["nonfinite"] else {}
    for place, metric, name in scope.metrics[table]:
        value = row[place]
        if nonfinite.get(metric) == "NaN":
            value = float("nan")
        if value is not None:
            yield name, value
            if name != f"metric:{metric}":
                yield "kp:metricName", f"{name} is {metric}"
    if row["more"]:
        for metric, value in json.loads(row["more"]).items():
            if value is not None:
                yield f"metric:{ncname(metric)}", literal(value)
