"""Compile, fit, loops and epochs in PROV."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterator
from typing import Any

from kerasprov_agent import clock
from kerasprov_agent.documents.activity import activity, boolean
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import (
    Statement,
    generated,
    present,
    used,
)
from kerasprov_agent.documents.vocabulary import (
    Name,
    local,
    ncname,
)


def architectures(scope: Scope) -> Iterator[Statement]:
    """The structures of the models that were trained."""
    wanted = sorted({run["architecture_id"] for run in scope.runs} - {None})
    for architecture_id in wanted:
        row = scope.rows("SELECT * FROM architecture WHERE id = ?", architecture_id)[0]
        layers = scope.rows(
            "SELECT * FROM layer WHERE architecture_id = ? ORDER BY position", architecture_id
        )
        yield Statement(
            "entity",
            architecture_name(architecture_id),
            (),
            present(
                ("prov:type", Name("kp:ModelArchitecture")),
                ("prov:label", f"{row['class_name']}, {row['layers']} layers"),
                ("kp:sha256", architecture_id),
                ("kp:className", row["class_name"]),
                ("kp:layers", row["layers"]),
                ("kp:parameters", row["parameters"]),
                ("kp:trainableParameters", row["trainable_parameters"]),
                *(("kp:layer", layer_text(layer)) for layer in layers),
            ),
        )


def compiled(scope: Scope, row: sqlite3.Row) -> Iterator[Statement]:
    """A compile: its settings, and the activity where it was seen."""
    values = {
        name: row[name]
        for name in (
            "optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "jit_compile",
            "steps_per_execution", "run_eagerly",
        )
    }  # fmt: skip
    for name in ("jit_compile", "run_eagerly"):
        values[name] = boolean(values[name])
    config = json.loads(row["optimizer_config"] or "{}")
    for name, value in flat(config):
        values.setdefault(name if name != "name" else "optimizer_name", value)
    settings = yield from settings_of(scope, row["id"], "compile", values)
    if not row["started_at"]:
        return
    name = local(row["id"])
    yield from activity(scope, row, ("kp:Compile",), "compile", part_of=scope.execution["id"])
    yield used(name, settings, row["started_at"])
    for run in scope.runs:
        if run["compile_id"] == row["id"] and run["architecture_id"]:
            yield used(name, architecture_name(run["architecture_id"]), row["started_at"])
            break


def settings_of(
    scope: Scope, row_id: str, what: str, values: dict[str, Any]
) -> Generator[Statement, None, Name]:
    """A collection of hyperparameter settings; returns its name."""
    settings = Name(f"{local(row_id)}-settings")
    yield Statement(
        "entity",
        settings,
        (),
        (
            ("prov:type", Name("kp:Settings")),
            ("prov:type", Name("prov:Collection")),
            ("prov:label", f"{what} settings"),
        ),
    )
    for name, value in values.items():
        if value is None:
            continue
        member = Name(f"{local(row_id)}-{ncname(name)}")
        yield Statement(
            "entity",
            member,
            (),
            (
                ("prov:type", Name("mls:HyperParameterSetting")),
                ("prov:label", f"{name} = {value}"),
                ("mls:hasValue", value),
                ("kp:name", name),
            ),
        )
        yield Statement("hadMember", None, (settings, member))
    return settings


def fit(scope: Scope, run: sqlite3.Row) -> Iterator[Statement]:
    """A run: its settings, the activity, its epochs."""
    name = local(run["id"])
    arguments = dict(
        scope.tuples("SELECT name, value FROM param WHERE run_id = ? AND source = 'fit'", run["id"])
    )
    arguments["batch_size"] = run["batch_size"]
    seeds = scope.tuples(
        "SELECT name || '_seed', value FROM param WHERE run_id = ? AND source = 'seed'",
        run["id"],
    )
    settings = yield from settings_of(scope, run["id"], "fit", {**arguments, **dict(seeds)})
    within = (one for one in (run["parent_id"], run["trial_id"]) if one in scope.activities)
    yield from activity(
        scope,
        run,
        ("kp:Fit" if run["kind"] == "fit" else "kp:TrainingLoop", "schema:CreateAction"),
        label(run),
        ("kp:run", run["name"]),
        ("kp:epochsPlanned", run["epochs_planned"]),
        ("kp:epochsFinished", run["epochs_finished"]),
        ("kp:stoppedEarly", boolean(run["stopped_early"])),
        ("kp:samples", run["samples"]),
        ("kp:validationSource", run["validation_source"]),
        *(
            ("kp:callback", f"{c['class_name']} {c['settings']}")
            for c in scope.rows("SELECT * FROM callback WHERE run_id = ?", run["id"])
        ),
        ("kp:caller", run["caller"]),
        ("kp:steps", run["steps"]),
        *(("kp:optimizer", text) for text in optimizer_texts(scope, run)),
        *(("kp:change", text) for text in change_texts(scope, run)),
        *(("kp:event", text) for text in event_texts(scope, run)),
        part_of=next(within, scope.execution["id"]),
    )
    yield used(name, settings, run["started_at"])
    if run["compile_id"] and run["compile_id"] not in scope.activities:
        yield used(name, Name(f"{local(run['compile_id'])}-settings"), run["started_at"])
        if run["architecture_id"]:
            yield used(name, architecture_name(run["architecture_id"]), run["started_at"])
    yield from epochs_of(scope, run, name)


def label(run: sqlite3.Row) -> str:
    """What a run is, in a few words."""
    name = "training loop" if run["kind"] == "loop" else str(run["kind"])
    if run["epochs_planned"]:
        return f"{name}, {run['epochs_planned']} epochs"
    return f"{name}, {run['steps']} steps" if run["steps"] else name


def optimizer_texts(scope: Scope, run: sqlite3.Row) -> Iterator[str]:
    """The optimizers of a run, a line each."""
    query = "SELECT * FROM optimizer WHERE run_id = ? ORDER BY position"
    for row in scope.rows(query, run["id"]):
        yield f"{row['class_name']} {row['config']}"


def change_texts(scope: Scope, run: sqlite3.Row) -> Iterator[str]:
    """What was altered while it trained, a line each."""
    query = "SELECT * FROM change WHERE run_id = ? ORDER BY position"
    for row in scope.rows(query, run["id"]):
        when = f" in epoch {row['epoch']}" if row["epoch"] is not None else ""
        by = f" by {row['by']}" if row["by"] else ""
        yield f"{row['name']} {row['old']} to {row['new']}{when}{by}"


def event_texts(scope: Scope, run: sqlite3.Row) -> Iterator[str]:
    """What callbacks and the program did to it, a line each."""
    query = "SELECT * FROM event WHERE run_id = ? ORDER BY position"
    for row in scope.rows(query, run["id"]):
        when = f" in epoch {row['epoch']}" if row["epoch"] is not None else ""
        by = f" by {row['by']}" if row["by"] else ""
        yield f"{row['kind']}{when}{by} {row['details'] or ''}".strip()


def epochs_of(scope: Scope, run: sqlite3.Row, fit: str) -> Iterator[Statement]:
    """The epochs of a run, each informed by the one before, and the history of their metrics."""
    history = Name(f"{fit}-history")
    before: Name | None = None
    cursor = scope.connection.cursor()
    cursor.row_factory = sqlite3.Row
    for row in cursor.execute("SELECT * FROM epoch WHERE run = ? ORDER BY epoch", (run["number"],)):
        if before is None:
            yield Statement(
                "entity",
                history,
                (),
                (
                    ("prov:type", Name("kp:History")),
                    ("prov:type", Name("prov:Collection")),
                    ("prov:label", "history"),
                ),
            )
            yield generated(history, fit, scope.ends[run["id"]])
        epoch = Name(f"{fit}-epoch-{row['epoch']}")
        yield from epoch_of(scope, row, epoch, fit, before)
        yield Statement("hadMember", None, (history, Name(f"{epoch}-metrics")))
        before = epoch


def epoch_of(
    scope: Scope, row: sqlite3.Row, epoch: Name, fit: str, before: Name | None
) -> Iterator[Statement]:
    """An epoch, and the metrics that it generated."""
    lasted = sum(row[f"{part}_seconds"] or 0 for part in ("train", "validation", "callback"))
    started, ended = clock.iso(row["started_at"]), clock.iso(row["started_at"] + lasted)
    yield Statement(
        "activity",
        epoch,
        (started, ended),
        present(
            ("prov:type", Name("kp:Epoch")),
            ("prov:label", f"epoch {row['epoch']}"),
            ("dcterms:isPartOf", Name(fit)),
            ("kp:epoch", row["epoch"]),
            ("kp:trainSeconds", row["train_seconds"]),
            ("kp:validationSeconds", row["validation_seconds"]),
            ("kp:callbackSeconds", row["callback_seconds"]),
            ("kp:gpuAllocatedSeconds", row["gpu_allocated_seconds"]),
            ("kp:learningRate", row["learning_rate"]),
        ),
    )
    if before is None:
        yield Statement("wasStartedBy", Name(f"{epoch}-start"), (epoch, None, Name(fit), started))
    else:
        yield Statement("wasInformedBy", None, (epoch, before))
    metrics = Name(f"{epoch}-metrics")
    yield measured(scope, metrics, f"metrics of epoch {row['epoch']}", row)
    yield generated(metrics, epoch, ended)


def measured(scope: Scope, name: Name, label: str, row: sqlite3.Row) -> Statement:
    """The metrics of an epoch or an evaluation as an entity; NaN is NaN."""
    nonfinite = json.loads(row["nonfinite"] or "{}")
    found: list[tuple[str, Any]] = []
    for column in row.keys():  # noqa: SIM118 - a sqlite3.Row iterates over values
        metric = scope.metrics.get(column)
        if metric is None:
            continue
        value = float("nan") if nonfinite.get(metric) == "NaN" else row[column]
        found.append((f"kp:{ncname(metric)}", value))
    for metric, value in json.loads(row["more"] or "{}").items():
        found.append((f"kp:{ncname(metric)}", value if is_value(value) else json.dumps(value)))
    kind = ("prov:type", Name("mls:ModelEvaluation"))
    return Statement("entity", name, (), present(kind, ("prov:label", label), *found))


def is_value(value: Any) -> bool:
    """Whether a value is a literal of PROV."""
    return isinstance(value, (bool, int, float, str))


def flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A nested configuration as one level, lists as JSON."""
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, dict)):
            yield f"{prefix}{key}", json.dumps(value)
        else:
            yield f"{prefix}{key}", value


def architecture_name(architecture_id: str) -> Name:
    """The entity of an architecture in this document."""
    return Name(f"run:architecture-{architecture_id[:16]}")


def layer_text(layer: sqlite3.Row) -> str:
    """A layer in one line."""
    parts = [f"{layer['position']} {layer['name']}: {layer['class_name']}"]
    for column in ("activation", "dropout_rate", "units", "filters"):
        if layer[column] is not None:
            parts.append(f"{column} {layer[column]}")
    return ", ".join(parts)
