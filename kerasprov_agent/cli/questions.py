"""`kerasprov best` and `kerasprov sql`: questions to the record."""

from __future__ import annotations

import sqlite3

import click

from kerasprov_agent import selection
from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.query import open_record


@click.command()
@click.argument("metric")
@database_option
@form_options
@click.option("--by", metavar="COLUMN", help="The best of each value of a column or param.")
@click.option("--top", default=1, show_default=True, help="So many, of each value of --by.")
@click.option("--where", metavar="CONDITION", help="Among the runs for which this holds.")
@click.option("--max/--min", "greatest", default=None, help="Whether more is better, or less.")
def best(
    metric: str,
    db: str,
    form: str,
    by: str | None,
    top: int,
    where: str | None,
    greatest: bool | None,
) -> None:
    """The best run by METRIC, in its best epoch, with its hyperparameters.

    Less is better for losses and errors, more for all else, unless --max or --min says it.
    """
    with open_record(db) as record:
        rows = selection.best(record, metric, by, top, greatest, where)
    print_rows(rows, form, f"No run has {metric}.")


@click.command()
@click.argument("statement")
@database_option
@form_options
def sql(statement: str, db: str, form: str) -> None:
    """Print what a SELECT returns; the database can't be changed by it."""
    with open_record(db) as record:
        try:
            rows = list(record.query(statement))
        except (sqlite3.Error, sqlite3.Warning) as exc:
            raise KerasProvError(f"SQLite says: {exc}") from exc
    print_rows(rows, form, "No rows.")


COMMANDS = (best, sql)
