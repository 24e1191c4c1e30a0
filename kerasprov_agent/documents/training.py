"""Compile, fit and loops in PROV: settings, optimizers, and what was altered meanwhile."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterator
from typing import Any

from kerasprov_agent.documents import epochs
from kerasprov_agent.documents.activity import activity, boolean
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement, Value, generated, present, short, used
from kerasprov_agent.documents.vocabulary import Name, ncname


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
            architecture_name(scope, architecture_id),
            (),
            present(
                ("prov:type", Name("kp:ModelArchitecture")),
                ("prov:label", f"{row['class_name'] or 'model'}, {row['layers']} layers"),
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
    name = scope.local(row["id"])
    yield from activity(scope, row, ("kp:Compile",), "compile", part_of=scope.execution["id"])
    yield used(name, settings, row["started_at"])
    for run in scope.runs:
        if run["compile_id"] == row["id"] and run["architecture_id"]:
            yield used(name, architecture_name(scope, run["architecture_id"]), row["started_at"])
            break


def settings_of(
    scope: Scope, row_id: str, what: str, values: dict[str, Any]
) -> Generator[Statement, None, Name]:
    """A collection of hyperparameter settings; returns its name."""
    settings = Name(f"{scope.local(row_id)}-settings")
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
        member = Name(f"{scope.local(row_id)}-{ncname(name)}")
        yield setting_of(member, name, value)
        yield Statement("hadMember", None, (settings, member))
        scope.settings[row_id, name] = member
    return settings


def fit(scope: Scope, run: sqlite3.Row) -> Iterator[Statement]:
    """A run: its settings, the activity, its epochs."""
    name = scope.local(run["id"])
    arguments = dict(
        scope.tuples("SELECT name, value FROM param WHERE run_id = ? AND source = 'fit'", run["id"])
    )
    arguments["batch_size"] = run["batch_size"]
    others = scope.tuples(
        "SELECT CASE source WHEN 'seed' THEN name || '_seed' ELSE source || '.' || name END, value "
        "FROM param WHERE run_id = ? AND source IN ('seed', 'distribution', 'keras', 'argument')",
        run["id"],
    )
    imported = scope.tuples(
        "SELECT name, value FROM param WHERE run_id = ? AND source = 'import'", run["id"]
    )
    values = {**arguments, **dict(others), **dict(imported)}
    settings = yield from settings_of(scope, run["id"], "fit", values)
    within = (
        owner_id for owner_id in (run["parent_id"], run["trial_id"]) if owner_id in scope.activities
    )
    yield from activity(
        scope,
        run,
        ("kp:Fit" if run["kind"] == "fit" else "kp:TrainingLoop", "mls:Run", "schema:CreateAction"),
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
        *(("kp:event", text) for text in event_texts(scope, run)),
        part_of=next(within, scope.execution["id"]),
    )
    yield used(name, settings, run["started_at"])
    if run["compile_id"] not in scope.activities:
        if run["compile_id"]:
            yield used(name, Name(f"{scope.local(run['compile_id'])}-settings"), run["started_at"])
        if run["architecture_id"]:
            yield used(name, architecture_name(scope, run["architecture_id"]), run["started_at"])
    yield from optimizers(scope, run, name)
    yield from epochs.epochs_of(scope, run, name)
    yield from changes(scope, run, name)


def label(run: sqlite3.Row) -> str:
    """What a run is, in a few words."""
    name = "training loop" if run["kind"] == "loop" else str(run["kind"])
    if run["epochs_planned"]:
        return f"{name}, {run['epochs_planned']} epochs"
    return f"{name}, {run['steps']} steps" if run["steps"] else name


def optimizers(scope: Scope, run: sqlite3.Row, fit: Name) -> Iterator[Statement]:
    """What trained: several where the program holds more than one."""
    query = "SELECT * FROM optimizer WHERE run_id = ? ORDER BY position"
    for row in scope.rows(query, run["id"]):
        name = Name(f"{fit}-optimizer-{row['position']}")
        yield Statement(
            "entity",
            name,
            (),
            present(
                ("prov:type", Name("kp:Optimizer")),
                ("prov:label", row["name"] or row["class_name"]),
                ("kp:className", row["class_name"]),
                ("kp:config", row["config"]),
                ("kp:learningRate", row["learning_rate"]),
                ("kp:attribute", row["attribute"]),
                ("kp:constructedAt", row["constructed_at"]),
                ("kp:constructedIn", row["constructed_in"]),
                ("kp:variables", row["variables"]),
                ("kp:iterationsBefore", row["iterations_before"]),
                ("kp:iterationsAfter", row["iterations_after"]),
            ),
        )
        yield used(fit, name, run["started_at"])


def changes(scope: Scope, run: sqlite3.Row, fit: Name) -> Iterator[Statement]:
    """Hyperparameters that were altered while it trained: each change made a new setting."""
    if scope.is_summary(run):
        return
    query = "SELECT * FROM change WHERE run_id = ? ORDER BY position"
    settings = {key: (name, None) for (owner, key), name in scope.settings.items()
            if owner == run["compile_id"]}  # fmt: skip
    for row in scope.rows(query, run["id"]):
        name, at = Name(f"{fit}-change-{row['position']}"), row["at"]
        yield Statement(
            "activity",
            name,
            (at, at),
            present(
                ("prov:type", Name("kp:Change")),
                ("prov:label", f"{row['name']} {short(row['old'])} to {short(row['new'])}"),
                ("dcterms:isPartOf", fit),
                ("kp:epoch", row["epoch"]),
                ("kp:by", row["by"]),
                ("kp:old", row["old"]),
            ),
        )
        yield Statement("wasStartedBy", Name(f"{name}-start"), (name, None, fit, at))
        setting = Name(f"{name}-{ncname(row['name'])}")
        yield setting_of(setting, row["name"], row["new"])
        made = generated(setting, name, at)
        yield made
        before, value = settings.get(row["name"], (None, None))
        if before is not None and value in (None, row["old"]):
            use = used(name, before, at)
            yield use
            formal = (setting, before, name, made.id, use.id)
            revision = (("prov:type", Name("prov:Revision")),)
            yield Statement("wasDerivedFrom", None, formal, revision)
        settings[row["name"]] = setting, row["new"]


def setting_of(name: Name, key: str, value: Value | None) -> Statement:
    """A hyperparameter and its value."""
    return Statement(
        "entity",
        name,
        (),
        present(
            ("prov:type", Name("mls:HyperParameterSetting")),
            ("prov:label", f"{key} = {short(value)}"),
            ("mls:hasValue", value),
            ("kp:name", key),
        ),
    )


def event_texts(scope: Scope, run: sqlite3.Row) -> Iterator[str]:
    """What callbacks and the program did to it, a line each."""
    query = "SELECT * FROM event WHERE run_id = ? ORDER BY position"
    for row in scope.rows(query, run["id"]):
        when = f" in epoch {row['epoch']}" if row["epoch"] is not None else ""
        by = f" by {row['by']}" if row["by"] else ""
        yield f"{row['kind']}{when}{by} {row['details'] or ''}".strip()


def flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A nested configuration as one level, lists as JSON."""
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, dict)):
            yield f"{prefix}{key}", json.dumps(value)
        else:
            yield f"{prefix}{key}", value


def architecture_name(scope: Scope, architecture_id: str) -> Name:
    """The entity of an architecture in this document."""
    return scope.own(f"architecture-{architecture_id[:16]}")


def layer_text(layer: sqlite3.Row) -> str:
    """A layer in one line."""
    kind = f": {layer['class_name']}" if layer["class_name"] else ""
    parts = [f"{layer['position']} {layer['name']}{kind}"]
    for column in ("activation", "dropout_rate", "units", "filters"):
        if layer[column] is not None:
            parts.append(f"{column} {layer[column]}")
    return ", ".join(parts)
