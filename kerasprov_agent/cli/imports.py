"""`kerasprov import`: takes in what other tools recorded."""

from __future__ import annotations

import click

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.screen import say
from kerasprov_agent.cli.tables import print_rows


@click.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@database_option
@form_options
def import_(files: tuple[str, ...], db: str, form: str | None) -> None:
    """Take in trainings that other tools recorded; doing so again adds nothing.

    FILE is a MonetDB dump of Keras-Prov or DNNProv, a PROV-JSON document of DLProv, a folder of
    TensorBoard or one of its event files, a file of Keras' CSVLogger, MLflow's database or its
    folder mlruns. Give dumps that belong together at once. What had to be mended is listed.
    """
    from kerasprov_agent import imports

    found = list(imports.read(files))
    outcomes = imports.store(db, found) if found else []
    rows = [
        {
            "name": training.label,
            "from": training.format,
            "epochs": len(training.epochs),
            "tests": len(training.tests),
            "outcome": outcome,
            "mended": "; ".join(training.repairs) or None,
        }
        for training, outcome in zip(found, outcomes, strict=True)
    ]
    print_rows(rows, form, "There is no training in it.")
    if form is None and found:
        runs = sum(training.has_run for training in found)
        epochs = sum(len(training.epochs) for training in found)
        new = outcomes.count(imports.NEW)
        say(f"\n{runs} runs with {epochs} epochs; {new} of {len(found)} are new.")


COMMANDS = (import_,)
