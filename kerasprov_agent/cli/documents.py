"""`kerasprov prov`: W3C PROV documents."""

from __future__ import annotations

from typing import IO, Any

import click

from kerasprov_agent import documents
from kerasprov_agent.cli import database_option
from kerasprov_agent.query import open_record


@click.command()
@click.argument("run", default="last")
@database_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(sorted(documents.FORMATS)),
    default="json",
    show_default=True,
    help="PROV-JSON, PROV-N, or PROV-O in Turtle.",
)
@click.option("-o", "--output", metavar="FILE", help="Write here, not to the terminal.")
@click.option("--execution", is_flag=True, help="The whole program of which RUN is a part.")
def prov(run: str, db: str, format_: str, output: str | None, execution: bool) -> None:
    """Write the W3C PROV document of RUN, also while it is still going.

    RUN may also be the name of a program that trained nothing, or the beginning of its id.
    """
    with open_record(db) as record:
        execution_id, run_id = record.find_execution(run)
        run_id = None if execution else run_id

        def fill(stream: IO[Any]) -> None:
            documents.write(record.connection, execution_id, stream, format_, run_id)

        if output:
            documents.replace_file(output, fill)
        else:
            with click.open_file("-", "w", encoding="utf-8") as stream:
                fill(stream)


COMMANDS = (prov,)
