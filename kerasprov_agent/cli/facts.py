"""What a run is, in a few lines: the top of `kerasprov show`."""

from __future__ import annotations

import json
from typing import Any

from kerasprov_agent.cli.tables import epochs_told
from kerasprov_agent.read.record import Row, listed, mapping
from kerasprov_agent.read.wording import duration, moment, short


def summary(
    run: Row, execution: Row, trial: Row | None = None, source: Row | None = None
) -> dict[str, Any]:
    """Its outcome, its model, its program and machine; `source`: where it was imported from."""
    stopped = ", stopped early" if run["stopped_early"] else ""
    commit = execution["git_commit"]
    changed = " with changes" if execution["git_dirty"] else ""
    return {
        "started": moment(run["started_at"]),
        "took": duration(run["seconds"]),
        "kind": run["kind"] if run["kind"] != "fit" else None,
        "epochs": f"{epochs_told(run)}{stopped}" if run["kind"] == "fit" else None,
        "steps": run["steps"],
        "job": f"{run['job']}, rank {run['rank']}" if run["job"] else None,
        "trial": _trial(trial) if trial else None,
        "exception": _exception(run),
        "model": _model(run),
        "samples": _samples(run),
        "program": _program(execution),
        "tags": tags_told(run["tags"]),
        "git": f"{commit[:12]} {execution['git_branch'] or ''}{changed}" if commit else None,
        "software": _software(execution),
        "machine": _machine(execution) if execution["host"] else None,
        "user": None if execution["host"] else execution["user"],
        "imported": _source(run, source) if source else None,
        "note": run["note"],
    }  # fmt: skip


def tags_told(tags: str | None) -> str:
    """Tags, a JSON object, as `group=a, fold=3`."""
    return ", ".join(f"{key}={value}" for key, value in mapping(tags).items())


def _source(run: Row, source: Row) -> str:
    return f"{run['imported_from']} {source['path']}"


def _trial(trial: Row) -> str:
    score = f", score {short(trial['score'])}" if trial["score"] is not None else ""
    return f"{trial['trial']} of {trial['search'] or 'a search'}{score}"


def _model(run: Row) -> str:
    counts = [f"{short(run[name])} {name}" for name in ("layers", "parameters") if run[name]]
    return ", ".join([run["model"], *counts] if run["model"] else counts)


def _software(execution: Row) -> str:
    parts = []
    if execution["keras_version"]:
        parts.append(f"{execution['keras_package']} {execution['keras_version']}")
    if execution["backend"]:
        parts.append(f"on {execution['backend']} {execution['backend_version'] or ''}".rstrip())
    version = " ".join(parts)
    python = f"Python {execution['python']}" if execution["python"] else ""
    return ", ".join(part for part in (version, python) if part)


def _machine(execution: Row) -> str:
    at = f"@{execution['host']}" if execution["host"] else ""
    person = execution["user"] or ("?" if at else "")
    gpus = listed(execution["gpus"])
    return ", ".join(part for part in (f"{person}{at}", execution["cpu"], *gpus) if part)


def _exception(run: Row) -> str | None:
    return f"{run['exception_type']}: {run['exception']}" if run["exception_type"] else None


def _program(execution: Row) -> str:
    if execution["kind"] == "import" and not execution["script"]:
        return ""
    arguments = listed(execution["arguments"])
    return " ".join([execution["script"] or execution["kind"], *arguments])


def _samples(run: Row) -> str | None:
    if run["samples"] is None:
        return None
    held_back = f", {run['validation_samples']} to validate" if run["validation_samples"] else ""
    return f"{run['samples']} in batches of {run['batch_size']}{held_back}"


def compile_facts(compiled: Row) -> dict[str, Any]:
    """What its model was compiled with."""
    config = mapping(compiled["optimizer_config"])
    settings = ", ".join(
        f"{name} {json.dumps(value) if isinstance(value, (dict, list)) else value}"
        for name, value in config.items()
        if name != "name" and value is not None and value is not False
    )
    metrics = json.loads(compiled["metrics"] or "null")
    return {
        "optimizer": f"{compiled['optimizer']}: {settings}" if compiled["optimizer"] else None,
        "loss": compiled["loss"],
        "metrics": ", ".join(map(str, metrics)) if isinstance(metrics, list) else metrics,
    }
