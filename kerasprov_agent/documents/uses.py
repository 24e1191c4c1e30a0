"""Evaluations, predictions and searches in PROV."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from kerasprov_agent.documents.activity import activity
from kerasprov_agent.documents.epochs import measured
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement, Value, generated, literal
from kerasprov_agent.documents.training import settings_of
from kerasprov_agent.documents.vocabulary import Name, ncname


def evaluation(scope: Scope, row: sqlite3.Row) -> Iterator[Statement]:
    """An evaluation, and the metrics that it generated."""
    name = scope.local(row["id"])
    within = row["run_id"] if row["epoch"] is not None else None
    if within not in scope.activities:
        within = None
    yield from activity(
        scope,
        row,
        ("kp:Evaluate",),
        "evaluate",
        ("kp:epoch", row["epoch"]),
        ("kp:batchSize", row["batch_size"]),
        ("kp:steps", row["steps"]),
        part_of=within or scope.execution["id"],
    )
    if row["status"] == "finished":
        metrics = Name(f"{name}-metrics")
        yield measured(scope, "evaluation", metrics, "test metrics", row)
        yield generated(metrics, name, scope.ends[row["id"]])


KINDS = {
    "predict": "kp:Predict", "predict_on_batch": "kp:Predict", "test_on_batch": "kp:Evaluate",
    "save": "kp:Save", "save_weights": "kp:Save", "export": "kp:Save",
    "load": "kp:Load", "load_weights": "kp:Load", "step": "kp:Step",
}  # fmt: skip
"""The type of an activity in PROV, by its kind."""


def _told(attributes: str | None) -> Iterator[tuple[str, Value]]:
    """What the program tells of a step of its own."""
    for name, value in json.loads(attributes or "{}").items():
        yield f"attribute:{ncname(name)}", literal(value)


def prediction(scope: Scope, row: sqlite3.Row) -> Iterator[Statement]:
    """Many calls of `predict` or the like on one state of a model; a `save`, a `load`, a step."""
    within = row["run_id"] if scope.lies_within(row["run_id"], row) else None
    yield from activity(
        scope,
        row,
        (KINDS[row["kind"]],),
        row["name"] or row["kind"],
        ("kp:epoch", row["epoch"]),
        ("kp:by", row["by"]),
        *_told(row["attributes"]),
        ("kp:calls", row["calls"]),
        ("kp:seconds", row["seconds"]),
        part_of=within or scope.execution["id"],
    )


def search(scope: Scope, row: sqlite3.Row) -> Iterator[Statement]:
    """A search for hyperparameters, and its trials."""
    yield from activity(
        scope,
        row,
        ("kp:Search",),
        f"{row['class_name']} {row['name'] or ''}".strip(),
        ("kp:objective", row["objective"]),
        ("kp:direction", row["direction"]),
        ("kp:settings", row["settings"]),
        ("kp:space", row["space"]),
        part_of=scope.execution["id"],
    )
    for trial in scope.trials:
        if trial["search_id"] == row["id"]:
            yield from activity(
                scope,
                trial,
                ("kp:Trial",),
                f"trial {trial['name']}",
                ("kp:score", trial["score"]),
                ("kp:bestStep", trial["best_step"]),
                ("kp:message", trial["message"]),
                part_of=row["id"],
            )
            values = json.loads(trial["hyperparameters"] or "{}")
            settings = yield from settings_of(scope, trial["id"], "trial", values)
            name = scope.local(trial["id"])
            yield generated(settings, name, trial["started_at"])
