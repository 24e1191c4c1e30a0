"""What runs differ in, and what came of it."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from kerasprov_agent.read.record import Record, Row, mapping

HYPERPARAMETERS = (
    "kind", "model", "optimizer", "learning_rate", "batch_size", "epochs", "loss", "activation",
    "dropout", "layers", "parameters", "steps_per_epoch",
)  # fmt: skip
DATA = ("samples", "validation_samples", "validation_source")
LAYER = ("class_name", "activation", "dropout_rate", "units", "filters", "kernel_size",
         "output_shape", "parameters", "trainable", "dtype")  # fmt: skip
MACHINE = frozenset(("platform", "cpu", "cpu_count", "gpus", "host", "rank", "world_size"))
CODE = frozenset(("git_commit", "git_branch", "git_remote", "git_dirty", "script", "arguments"))

Facts = dict[str, dict[str, Any]]


def compare(record: Record, runs: Sequence[Row]) -> dict[str, list[Row]]:
    """What runs differ in, by section: rows of `name` and a value for each run's name.

    The section `outcome` has all there is, the section `code` a unified diff of each run against
    the first one.
    """
    layers = _layers([record.layers(run) for run in runs])
    facts_of = [_facts(record, run, own) for run, own in zip(runs, layers, strict=True)]
    names = [run["name"] for run in runs]
    differing: dict[str, list[Row]] = {}
    for section in facts_of[0]:
        facts = [section_facts[section] for section_facts in facts_of]
        rows = [
            {"name": key, **dict(zip(names, values, strict=True))}
            for key in dict.fromkeys(key for section_facts in facts for key in section_facts)
            if (values := [section_facts.get(key) for section_facts in facts])
            and (section == "outcome" or len(set(map(repr, values))) > 1)
        ]
        differing[section] = rows
    differing["code"] = [
        {"run": run["name"], **change}
        for run in runs[1:]
        for change in _code_changes(record.code(runs[0]), record.code(run))
    ]
    return differing


def _facts(record: Record, run: Row, layers: dict[str, Any]) -> Facts:
    environment = record.environment(run)
    process = {row["name"]: row["value"] for row in environment if row["kind"] == "process"}
    tags = mapping(record.execution(run)["tags"])
    settings = {name: run[name] for name in HYPERPARAMETERS}
    for row in record.params(run):
        settings.setdefault(row["name"], row["value"])
    settings |= {name: process.get(name) for name in ("script", "arguments", "git_commit")}
    settings |= {f"tag {name}": value for name, value in tags.items()}
    return {
        "settings": settings,
        "layers": layers,
        "outcome": _outcome(record, run),
        "data": {name: run[name] for name in DATA} | _inputs(record, run) | _files(record, run),
        "environment": {
            **{k: v for k, v in process.items() if k not in MACHINE | CODE},
            **{row["name"]: row["value"] for row in environment if row["kind"] == "variable"},
        },
        "packages": {row["name"]: row["value"] for row in environment if row["kind"] == "package"},
        "machine": {name: process.get(name) for name in process if name in MACHINE},
    }  # fmt: skip


def _layers(models: list[list[Row]]) -> list[dict[str, Any]]:
    """What there is to say of the layers of each model, by the layer and what is said of it.

    Of a layer that only some have it is one text; of one that all have, a value for each attribute.
    """
    named = [_named(layers) for layers in models]
    layers_of: list[dict[str, Any]] = [{} for _ in models]
    for key in dict.fromkeys(key for facts_of in named for key in facts_of):
        if all(key in facts_of for facts_of in named):
            for facts, facts_of in zip(layers_of, named, strict=True):
                facts.update({f"{key} {name}": facts_of[key][name] for name in LAYER})
        else:
            for facts, facts_of in zip(layers_of, named, strict=True):
                facts[key] = _layer(facts_of[key]) if key in facts_of else None
    return layers_of


def _named(layers: Sequence[Row]) -> dict[str, Row]:
    """Layers by their names; those with automatic ones by class and place, as `Dense 2`."""
    named: dict[str, Row] = {}
    counts: Counter[str] = Counter()
    for row in layers:
        name, plain = row["name"], str(row["class_name"])
        # As Keras makes a name of a class: GlobalAveragePooling2D is global_average_pooling2d.
        words = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", plain))
        if re.fullmatch(rf"{re.escape(words.lower())}(_\d+)?", name.rpartition("/")[2]):
            counts[plain] += 1
            name = f"{plain} {counts[plain]}"
        named[name] = row
    return named


def _layer(row: Row) -> str:
    return ", ".join(f"{name} {row[name]}" for name in LAYER if row[name] is not None)


def _inputs(record: Record, run: Row) -> Row:
    return {
        " ".join(filter(None, (row["used_as"], row["role"], row["path"]))): " ".join(
            filter(None, (row["shape"], row["dtype"]))
        )
        for row in record.inputs(run)
        if row["role"]
    }


def _files(record: Record, run: Row) -> Row:
    """What the program read, by name: the same content elsewhere is the same data."""
    return {
        f"file {os.path.basename(row['path'])}": row["sha256"] or row["partial_sha256"]
        for row in record.files(run)
        if row["used_by"]
    }


def _outcome(record: Record, run: Row) -> Row:
    epochs = record.epochs(run)
    seconds = [row["seconds"] for row in epochs if row["seconds"] is not None]
    outcome: Row = {
        "status": run["status"],
        "epochs finished": run["epochs_finished"],
        "seconds": run["seconds"],
        "seconds per epoch": sum(seconds) / len(seconds) if seconds else None,
    }
    for name, last in run["metrics"].items():
        values = [row["metrics"].get(name) for row in epochs]
        numbers = [
            number for number in values if isinstance(number, (int, float)) and number == number
        ]
        outcome[f"last {name}"] = last
        if numbers:
            outcome |= {f"lowest {name}": min(numbers), f"highest {name}": max(numbers)}
    for row in record.evaluations(run):
        if row["epoch"] is None:
            outcome |= {f"{name} of evaluate": value for name, value in row["metrics"].items()}
    return outcome


def _code_changes(a: list[Row], b: list[Row]) -> list[Row]:
    """Unified diffs of what two runs have in common in name, or only one of them has."""
    before, after = ({_key(part): part["text"] for part in side} for side in (a, b))
    changes = []
    for key in dict.fromkeys([*before, *after]):
        lines = difflib.unified_diff(
            before.get(key, "").splitlines(),
            after.get(key, "").splitlines(),
            f"a/{key}",
            f"b/{key}",
            lineterm="",
        )
        text = "\n".join(lines)
        if text:
            changes.append({"name": key, "diff": text})
    return changes


def _key(part: Row) -> str:
    """A name by which code is found again where the same program lay elsewhere."""
    name = os.path.basename(part["name"] or "") if part["kind"] != "cell" else part["name"]
    return str(name) if part["kind"] != "git diff" else "git diff"
