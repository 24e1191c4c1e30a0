"""`kerasprov show`: everything about one run."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.facts import compile_facts, summary
from kerasprov_agent.cli.screen import console, say
from kerasprov_agent.cli.tables import (
    CURVE_WIDTH,
    FittedTable,
    as_json,
    metric_names,
    print_rows,
    sparkline,
)
from kerasprov_agent.read.record import Record, Row, flat, open_record
from kerasprov_agent.read.wording import moment
from kerasprov_agent.visible import visible

EPOCHS_SHOWN = 12
NUMBERS_WIDTH = 52
"""Columns of the terminal that a curve's name and numbers take beside it."""
NUMBER_WIDTH = 7
EPOCH_COLUMNS = {
    "training": "train_seconds",
    "validation": "validation_seconds",
    "rate": "learning_rate",
}
"""Of epochs what is told as well where there is room."""


@click.command()
@click.argument("run", default="last")
@database_option
@form_options
@click.option("--code", "part", flag_value="code", help="The code that ran, with git's changes.")
@click.option("--env", "part", flag_value="env", help="Machine, software, packages, variables.")
@click.option("--layers", "part", flag_value="layers", help="The layers of the model.")
@click.option("--files", "part", flag_value="files", help="The files that were read and written.")
@click.option("--epochs", "part", flag_value="epochs", help="All epochs, a metric a column.")
def show(run: str, db: str, form: str | None, part: str | None) -> None:
    """Show what is known of RUN: settings, model, data, curves, evaluations, machine.

    With an option only that part, whole.
    """
    with open_record(db) as record:
        row = record.find(run)
        if part is None and form == "csv":
            part = "epochs"
        if part is None:
            if form == "json":
                say(as_json(_everything(record, row)))
            else:
                _print_run(record, row, console())
        elif part == "code" and form is None:
            _print_code(record.code(row))
        else:
            print_rows(PARTS[part](record, row), form, f"No {part} of run {row['run']} known.")


def _print_code(code: list[Row]) -> None:
    for part in code:
        say(visible(f"# {part['kind']} {part['name'] or ''}".rstrip()), bold=True)
        say(part["text"].rstrip("\n") + "\n")


def _layers(record: Record, run: Row) -> list[Row]:
    rows = record.layers(run)
    left_out = ("run", "run_name", "architecture_id")
    present = (
        [name for name in rows[0] if any(row[name] is not None for row in rows)] if rows else []
    )
    return [{name: row[name] for name in present if name not in left_out} for row in rows]


def _epochs(record: Record, run: Row) -> list[Row]:
    """Metrics stand first, and the clock last: a terminal may not have room for all."""
    epochs = record.epochs(run)
    metrics = metric_names(epoch["metrics"] for epoch in epochs)
    rows = [flat(row) for row in epochs]
    first = ("epoch", *metrics, *(f"metric.{name}" for name in metrics), "learning_rate", "seconds")
    others = (name for row in rows for name in row if name != "started_at")
    names = dict.fromkeys((*first, *others, "started_at"))
    present = [name for name in names if any(row.get(name) is not None for row in rows)]
    return [{name: row.get(name) for name in present if name != "run"} for row in rows]


PARTS = {
    "code": Record.code,
    "env": Record.environment,
    "files": Record.files,
    "layers": _layers,
    "epochs": _epochs,
}
"""The rows of each part; columns that have no value in any are left out."""


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
        "steps": record.steps(run),
        "files": record.files(run),
        "epochs": record.epochs(run),
        "evaluations": record.evaluations(run),
    }


def _print_run(record: Record, run: Row, out: Console) -> None:
    execution, compiled = record.execution(run), record.compiled(run)
    status = run["status"] or "how it ended is not known"
    out.print(
        Text.assemble(
            (visible(f"run {run['run']}  {run['name']}"), "bold"), f"  {visible(str(status))}"
        )
    )
    out.print(_facts(summary(run, execution, record.trial(run), record.source(run))))
    if compiled:
        out.print(_facts({"compile": None, **compile_facts(compiled)}))
    trained_by = record.optimizers(run)
    imported = record.params(run) if run["imported_from"] else []
    sections = (
        ("hyperparameters", imported, ("name", "value")),
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
        ("steps", record.steps(run), ("name", "status", "attributes")),
        ("uses", record.activities(run), ("kind", "calls", "seconds")),
    )
    for title, rows, columns in sections:
        if rows:
            named = columns(rows) if callable(columns) else columns
            empty = (None, "", "{}")
            shown = [name for name in named if any(row[name] not in empty for row in rows)]
            out.print()
            out.print(FittedTable(shown, ([row[c] for c in shown] for row in rows), title))
    epochs = record.epochs(run)
    _print_curves(epochs, out)
    _print_epochs(epochs, out)
    _print_evaluations(record.evaluations(run), out)


def _facts(facts: dict[str, Any]) -> Table:
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in facts.items():
        if value not in (None, ""):
            made.add_row(name, Text(visible(str(value))))
    return made


def _layer_columns(rows: list[Row]) -> list[str]:
    optional = ("activation", "dropout_rate", "units", "filters", "kernel_size", "output_shape")
    present = [name for name in optional if any(row[name] is not None for row in rows)]
    return ["name", "class_name", *present, "parameters"]


def _print_curves(epochs: list[Row], out: Console) -> None:
    """A line a metric: how it went, in as many characters as there are epochs and room."""
    if len(epochs) < 2:
        return
    width = max(10, min(CURVE_WIDTH, out.width - NUMBERS_WIDTH))
    rows = []
    for name in metric_names(epoch["metrics"] for epoch in epochs):
        values = [epoch["metrics"].get(name) for epoch in epochs]
        numbers = [value for value in values if isinstance(value, (int, float)) and value == value]
        if numbers:
            curve = sparkline(values, width)
            rows.append([name, values[0], curve, values[-1], min(numbers), max(numbers)])
    if rows:
        out.print()
        out.print(FittedTable(["", "first", "", "last", "lowest", "highest"], rows, "curves"))


def _print_epochs(epochs: list[Row], out: Console) -> None:
    if not epochs:
        return
    names = metric_names(epoch["metrics"] for epoch in epochs)
    shown, title = epochs, "epochs"
    if len(epochs) > EPOCHS_SHOWN:
        half = EPOCHS_SHOWN // 2
        shown = [*epochs[:half], *epochs[-half:]]
        title = f"epochs (the first and last {half} of {len(epochs)})"
    columns = [(name, name) for name in ("epoch", "seconds")]
    optional = [
        (name, column)
        for name, column in EPOCH_COLUMNS.items()
        if any(epoch[column] is not None for epoch in epochs)
    ]
    headings = [name for name, _ in (*columns, *optional)] + names
    if sum(max(len(name), NUMBER_WIDTH) + 2 for name in headings) <= out.width:
        columns += optional
    rows = [
        [*(epoch[column] for _, column in columns), *(epoch["metrics"].get(n) for n in names)]
        for epoch in shown
    ]
    out.print()
    out.print(FittedTable([*(name for name, _ in columns), *names], rows, title))


def _print_evaluations(evaluations: list[Row], out: Console) -> None:
    if not evaluations:
        return
    names = metric_names(row["metrics"] for row in evaluations)
    out.print()
    out.print(
        FittedTable(
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


COMMANDS = (show,)
