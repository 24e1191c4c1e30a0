"""`kerasprov export`: the record as files that other tools read."""

from __future__ import annotations

import click

from kerasprov_agent.cli import database_option
from kerasprov_agent.cli.screen import say
from kerasprov_agent.exchange.exports import WRITERS, export
from kerasprov_agent.read.record import open_record
from kerasprov_agent.visible import visible


@click.command("export")
@database_option
@click.option("--format", "form", type=click.Choice(list(WRITERS)), required=True)
@click.option("-o", "--output", metavar="PATH", required=True, help="A folder; of ndjson, "
              "duckdb and mlflow a file. What is there of those names is replaced.")  # fmt: skip
def export_(db: str, form: str, output: str) -> None:
    """Write the record as files that other tools read, also while it is written.

    parquet and csv: a file a view. duckdb: one database with a table a view. ndjson: a document an
    epoch, as Elasticsearch's _bulk takes it; loading it again replaces, never doubles. mlflow: an
    MLflow database, to which the runs that it does not have are added.
    """
    with open_record(db) as record:
        for path in export(record, output, form):
            say(visible(path))


COMMANDS = (export_,)
