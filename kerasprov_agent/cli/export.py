"""`kerasprov export`: the record as files that other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from kerasprov_agent.cli import database_option
from kerasprov_agent.cli.screen import say
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.evidence import forms
from kerasprov_agent.exchange.exports import WRITERS, export
from kerasprov_agent.read.origin import Everything, Origin
from kerasprov_agent.read.record import open_record
from kerasprov_agent.replacing import replaced
from kerasprov_agent.visible import visible


@click.command("export")
@click.argument("what", metavar="[MODEL|RUN]", required=False)
@database_option
@click.option("--format", "form", type=click.Choice([*WRITERS, *forms.FORMS]), required=True)
@click.option("-o", "--output", metavar="PATH", required=True, help="A file; of csv and parquet a "
              "folder. What is there of those names is replaced.")  # fmt: skip
def export_(what: str | None, db: str, form: str, output: str) -> None:
    """Write the record as files that other tools read, also while it is written.

    parquet and csv: a file a view. duckdb: one database with a table a view. ndjson: a document an
    epoch, as Elasticsearch's _bulk takes it; loading it again replaces, never doubles. mlflow: an
    MLflow database, to which the runs that it does not have are added.

    Of all models, or of what led to MODEL or RUN: cyclonedx and spdx are bills of materials,
    croissant is a card of the data, openlineage has an event a line. MODEL is a path or a hash.
    """
    if what is not None and form not in forms.FORMS:
        message = f"{form} is written of the whole database; leave out {visible(what)}"
        raise KerasProvError(message)
    with open_record(db) as record:
        if form not in forms.FORMS:
            for path in export(record, output, form):
                say(visible(path))
            return
        text, left_out = forms.text(
            Everything(record) if what is None else Origin(record, what), form
        )
    with replaced(output) as beside:
        Path(beside).write_text(text, encoding="utf-8")
    say(visible(output))
    if left_out:
        say(left_out)


COMMANDS = (export_,)
