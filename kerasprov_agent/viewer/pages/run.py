"""One run, with all that belongs to it."""

from __future__ import annotations

import json
from typing import Any

from kerasprov_agent.read.record import Record, Row, flat
from kerasprov_agent.viewer.pages.values import plain, table

FILES_SHOWN = 500
IDS = (
    "id", "run_id", "execution_id", "model_id", "data_id", "architecture_id", "activity_id",
    "entity_id", "run_name",
)  # fmt: skip
HIDDEN = ("id", "execution_id", "label", "caller", "trial_id", "metrics")
FACTS = (
    "run", "name", "status", "note", "tags", "started_at", "ended_at", "seconds", "kind", "model",
    "epochs", "epochs_finished", "stopped_early", "samples", "validation_samples", "script",
    "backend", "keras_version", "host", "user", "git_commit", "imported_from", "exception_type",
    "exception",
)  # fmt: skip


def run(record: Record, run: str) -> dict[str, Any]:
    """All that is known of a run, but for its code (`code`) and curves (`curves`).

    run: its number, name, the beginning of its id, or `last`. Returns `facts` (columns of the view
    `runs`), `metrics` (of the last epoch), and tables (`columns` and `rows`): `parameters`,
    `layers`, `epochs`, `evaluations`, `changes`, `events`, `callbacks`, `optimizers`, `inputs`,
    `activities`, `files` (500 at most, with `files_total`), `environment`, `steps`. Raises
    `UnknownRun`.
    """
    row = record.find(run)
    files = record.files(row)
    tables = {
        "parameters": (given for given in record.params(row) if given["value"] is not None),
        "layers": record.layers(row),
        "epochs": map(flat, record.epochs(row)),
        "evaluations": map(flat, record.evaluations(row)),
        "changes": record.changes(row),
        "events": record.events(row),
        "callbacks": record.callbacks(row),
        "optimizers": record.optimizers(row),
        "inputs": record.inputs(row),
        "activities": record.activities(row),
        "files": files[:FILES_SHOWN],
        "environment": record.environment(row),
        "steps": record.steps(row),
    }
    return {
        "facts": {name: plain(_fact(row, name)) for name in FACTS},
        "metrics": plain(row["metrics"]),
        "tables": {name: _without_run(table(rows)) for name, rows in tables.items()},
        "files_total": len(files),
        "source": plain(record.source(row)),
        "trial": plain(record.trial(row)),
        "documents": ["json", "provn", "ttl", "trig", "xml", "jsonld", "crate", "dot", "svg"],
    }


def _fact(row: Row, name: str) -> Any:
    value = row.get(name)
    return json.loads(value) if name == "tags" and value else value


def _without_run(given: dict[str, Any]) -> dict[str, Any]:
    """Columns that say the same in each row, since all rows belong to one run, are left out."""
    hidden = {"run", "name", *IDS}
    if "name" in given["columns"] and "attribute" not in given["columns"]:
        names = {row[given["columns"].index("name")] for row in given["rows"]}
        if len(names) > 1:
            hidden.discard("name")
    kept = [i for i, column in enumerate(given["columns"]) if column not in hidden]
    kept = [i for i in kept if any(row[i] is not None for row in given["rows"])]
    return {
        "columns": [given["columns"][i] for i in kept],
        "rows": [[row[i] for i in kept] for row in given["rows"]],
    }


def code(record: Record, run: str) -> dict[str, Any]:
    """The code of a run: `parts` of `kind` (script, module, cell, git diff), `name` and `text`.

    Raises `UnknownRun`.
    """
    return {"parts": record.code(record.find(run))}
