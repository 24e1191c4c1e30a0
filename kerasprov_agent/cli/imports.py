"""`kerasprov import`: takes in what other tools recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.screen import say
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.read.record import Row

if TYPE_CHECKING:
    from kerasprov_agent.exchange.imports.found import Training, Unread

NOT_READ = "not read"
NAMED = 3
"""So many runs are named where a line holds for several."""
TOLD_BELOW = {"mended": "corrected", "left_out": "left out"}
"""What is told in lines of its own, below the table."""


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@database_option
@form_options
def import_(files: tuple[str, ...], db: str, form: str | None) -> None:
    """Take in trainings that other tools recorded; doing so again adds nothing.

    FILE is a folder of TensorBoard or one of its event files, a file of Keras' CSVLogger,
    history.history as CSV or JSON, MLflow's database or its folder mlruns, a folder of KerasTuner,
    the history or summary of W&B, a MonetDB dump of Keras-Prov or DNNProv, a PROV-JSON document of
    DLProv. Give dumps that belong together at once. What was corrected or left out is listed.
    """
    from kerasprov_agent.exchange import imports
    from kerasprov_agent.exchange.imports.found import Training, Unread

    read = list(imports.read(files))
    outcomes = imports.store(db, read) if read else []
    trainings = [item for item in read if isinstance(item, Training)]
    unread = [item for item in read if isinstance(item, Unread)]
    rows = [*map(_row, trainings, outcomes), *map(_unread_row, unread)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    rows = [{name: row.get(name) for name in columns} for row in rows]
    if form is not None or not rows:
        print_rows(rows, form, "There is no training in it.")
        return
    print_rows([{k: v for k, v in row.items() if k not in TOLD_BELOW} for row in rows], form, "")
    _say_below(rows)
    runs = sum(training.has_run for training in trainings)
    epochs = sum(len(training.epochs) for training in trainings)
    new, known = outcomes.count(imports.NEW), outcomes.count(imports.KNOWN)
    changed = len(outcomes) - new - known
    others = f", {changed} have changed" if changed else ""
    say(f"\n{runs} runs with {epochs} epochs; {new} of {len(trainings)} are new{others}.")
    parts = sum(len(item.left_out) for item in trainings) + len(unread)
    if parts:
        say(f"Left out: {parts}; the reasons are above, and in the view imports.")


def _row(training: Training, outcome: str) -> Row:
    return {
        "name": training.label,
        "from": training.format,
        "epochs": len(training.epochs),
        "tests": len(training.tests),
        **({"trials": len(training.search.trials)} if training.search else {}),
        "outcome": outcome,
        "mended": "; ".join(training.repairs) or None,
        "left_out": "; ".join(training.left_out) or None,
    }


def _unread_row(item: Unread) -> Row:
    return {"name": item.path, "from": item.format, "outcome": NOT_READ, "left_out": item.reason}


def _say_below(rows: list[Row]) -> None:
    """What was corrected and left out: a line for all runs of which the same is to be said."""
    names_of: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name, word in TOLD_BELOW.items():
            if row.get(name):
                names_of.setdefault((word, str(row[name])), []).append(str(row["name"]))
    for (word, text), names in names_of.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        say(f"  {', '.join(names[:NAMED])}{more}, {word}: {text}")


COMMANDS = (import_,)
