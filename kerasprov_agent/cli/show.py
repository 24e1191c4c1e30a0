"""`kerasprov show`: everything about one run."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasprov_agent.cli import database_option, json_option
from kerasprov_agent.cli.tables import (
    as_json as to_json,
)
from kerasprov_agent.cli.tables import (
    console,
    duration,
    epochs_told,
    metric_names,
    moment,
    short,
    table,
)
from kerasprov_agent.query import Record, Row, open_record

EPOCHS_SHOWN = 12


@click.command()
@click.argument("run", default="last")
@database_option
@json_option
@click.option("--code", is_flag=True, help="The code that ran: script, modules, cells, changes.")
def show(run: str, db: str, as_json: bool, code: bool) -> None:
    """Show what is known of RUN: settings, model, data, epochs, evaluations, machine and code."""
    with open_record(db) as record:
        found = record.find(run)
        if code:
            _print_code(record.code(found), as_json)
        elif as_json:
            _print_json(_everything(record, found))
        else:
            _print_run(record, found, console())


def _print_code(code: list[Row], as_json: bool) -> None:
    if as_json:
        _print_json(code)
        return
    for one in code:
        click.echo(click.style(f"# {one['kind']} {one['name'] or ''}".rstrip(), bold=True))
        click.echo(one["text"].rstrip("\n") + "\n")


def _everything(record: Record, run: Row) -> dict[str, Any]:
    return {
        "run": run,
        "execution": record.execution(run),
        "compile": record.compiled(run),
        "params": record.params(run),
        "layers": record.layers(run),
        "inputs": record.inputs(run),
        "callbacks": record.callbacks(run),
        "optimizers": record.optimizers(run),
        "changes": record.changes(run),
        "events": record.events(run),
        "activities": record.activities(run),
        "epochs": record.epochs(run),
        "evaluations": record.evaluations(run),
    }


def _print_run(record: Record, run: Row, out: Console) -> None:
    execution, compiled = record.execution(run), record.compiled(run)
    out.print(Text.assemble((f"run {run['run']}  {run['name']}", "bold"), f"  {run['status']}"))
    out.print(_facts(_summary(run, execution)))
    if compiled:
        out.print(_facts({"compile": None, **_compile_facts(compiled)}))
    trained_by = record.optimizers(run)
    sections = (
        (
            "optimizers",
            trained_by if compiled is None or len(trained_by) > 1 else [],
            ("attribute", "class_name", "learning_rate", "constructed_in", "iterations_after"),
        ),
        ("layers", record.layers(run), _layer_columns),
        ("data", record.inputs(run), ("used_as", "role", "path", "class_name", "shape", "dtype")),
        ("callbacks", record.callbacks(run), ("class_name", "settings")),
        ("changes", record.changes(run), ("epoch", "name", "old", "new", "by")),
        ("events", record.events(run), ("epoch", "kind", "by", "details")),
        ("uses", record.activities(run), ("kind", "calls", "seconds")),
    )
    for title, rows, columns in sections:
        if rows:
            shown = columns(rows) if callable(columns) else columns
            out.print()
            out.print(table(shown, ([row[c] for c in shown] for row in rows), title))
    _print_epochs(record.epochs(run), out)
    _print_evaluations(record.evaluations(run), out)


def _summary(run: Row, execution: Row) -> dict[str, Any]:
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
        "trial": run["trial_id"],
        "exception": _exception(run),
        "model": f"{run['model']}, {run['layers']} layers, {short(run['parameters'])} parameters",
        "samples": _samples(run),
        "program": _program(execution),
        "git": f"{commit[:12]} {execution['git_branch'] or ''}{changed}" if commit else None,
        "software": f"{execution['keras_package']} {execution['keras_version']} on "
        f"{execution['backend']} {execution['backend_version']}, Python {execution['python']}",
        "machine": f"{execution['user'] or '?'}@{execution['host']}, {execution['cpu']}"
        + "".join(f", {gpu}" for gpu in json.loads(execution["gpus"] or "[]")),
    }  # fmt: skip


def _exception(run: Row) -> str | None:
    return f"{run['exception_type']}: {run['exception']}" if run["exception_type"] else None


def _program(execution: Row) -> str:
    arguments = json.loads(execution["arguments"])
    return " ".join([execution["script"] or execution["kind"], *arguments])


def _samples(run: Row) -> str | None:
    if run["samples"] is None:
        return None
    held_back = f", {run['validation_samples']} to validate" if run["validation_samples"] else ""
    return f"{run['samples']} in batches of {run['batch_size']}{held_back}"


def _compile_facts(compiled: Row) -> dict[str, Any]:
    config = json.loads(compiled["optimizer_config"] or "{}")
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


def _facts(facts: dict[str, Any]) -> Table:
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in facts.items():
        if value not in (None, ""):
            made.add_row(name, Text(str(value)))
    return made


def _layer_columns(rows: list[Row]) -> list[str]:
    optional = ("activation", "dropout_rate", "units", "filters", "kernel_size", "output_shape")
    present = [name for name in optional if any(row[name] is not None for row in rows)]
    return ["name", "class_name", *present, "parameters"]


def _print_epochs(epochs: list[Row], out: Console) -> None:
    if not epochs:
        return
    names = metric_names(epoch["metrics"] for epoch in epochs)
    shown, title = epochs, "epochs"
    if len(epochs) > EPOCHS_SHOWN:
        half = EPOCHS_SHOWN // 2
        shown = [*epochs[:half], *epochs[-half:]]
        title = f"epochs (the first and last {half} of {len(epochs)})"
    out.print()
    out.print(
        table(
            ["epoch", "seconds", "training", "validation", "rate", *names],
            (
                [
                    epoch["epoch"],
                    (epoch["train_seconds"] or 0) + (epoch["validation_seconds"] or 0),
                    epoch["train_seconds"],
                    epoch["validation_seconds"],
                    epoch["learning_rate"],
                    *(epoch["metrics"].get(name) for name in names),
                ]
                for epoch in shown
            ),
            title,
        )
    )


def _print_evaluations(evaluations: list[Row], out: Console) -> None:
    if not evaluations:
        return
    names = metric_names(row["metrics"] for row in evaluations)
    out.print()
    out.print(
        table(
            ["started", "status", "in epoch", *names],
            (
                [
                    moment(row["started_at"]),
                    row["status"],
                    row["epoch"],
                    *(row["metrics"].get(name) for name in names),
                ]
                for row in evaluations
            ),
            "evaluations",
        )
    )


def _print_json(value: Any) -> None:
    click.echo(to_json(value))


COMMANDS = (show,)
