"""`kerasprov best`, `query` and `sql`: questions to the record."""

from __future__ import annotations

import re

import click

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.screen import say
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read import selection
from kerasprov_agent.read.conditions import SQL, as_written
from kerasprov_agent.read.questions import compile_question
from kerasprov_agent.read.record import open_record


@click.command()
@click.argument("metric")
@database_option
@form_options
@click.option(
    "--by",
    multiple=True,
    metavar="NAME",
    help="The best run for each value of a hyperparameter, argument or tag; repeatable.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    help="Show so many, or so many for each value of --by; 1 by default, with --mean all values.",
)
@click.option("--where", metavar="CONDITION", help="Only among the runs for which this holds.")
@click.option("--max/--min", "greatest", default=None, help="Whether more is better, or less.")
@click.option(
    "--mean", is_flag=True, help="Compare the means over the runs of each value, not the luckiest."
)
def best(
    metric: str,
    db: str,
    form: str | None,
    by: tuple[str, ...],
    top: int | None,
    where: str | None,
    greatest: bool | None,
    mean: bool,
) -> None:
    """The best run by METRIC, in its best epoch, with its hyperparameters.

    With --by and --mean: the mean of METRIC over the runs of each value, each run in its best
    epoch, with the standard deviation `std` and how many runs there are; the best value first.

    Less is better for losses and errors, more for all else, unless --max or --min says it.
    """
    with open_record(db) as record:
        if mean and not by:
            raise KerasProvError("--mean needs --by: the means of which groups?")
        rows = (
            selection.best_means(record, metric, by, greatest, where)[:top]
            if mean
            else selection.best(record, metric, by, top or 1, greatest, where)
        )
    print_rows(rows, form, f"No run has {metric}.")


@click.command()
@click.argument("question")
@database_option
@form_options
@click.option("--show-sql", is_flag=True, help="Print the SQL instead of the answer.")
def query(question: str, db: str, form: str | None, show_sql: bool) -> None:
    """Answer a QUESTION: what to show, after `where` a condition, `order by` and `limit`.

    \b
    kerasprov query "epochs.epoch, epochs.loss where epochs.val_loss < 0.5"
    kerasprov query "runs.optimizer, avg(epochs.seconds)"

    Entities are the views: runs, epochs, evaluations, layers, params, changes, events, callbacks,
    optimizers, inputs, activities, files, packages, executions, searches, trials. They are joined
    by their run; with an aggregate (min, max, avg, std, median, count) the rest is what it is
    grouped by. A SELECT is SQL.
    """
    with open_record(db) as record:
        meant: dict[str, str] = {}
        if re.match(r"\s*(select|with)\b", question, re.IGNORECASE):
            compiled = SQL(question)
        else:
            understood = compile_question(question, record.connection)
            compiled, meant = understood.sql, understood.meant
        if meant and form is None and not show_sql:
            read = ", ".join(f"{view}.{name}" for name, view in meant.items())
            say(
                f"kerasprov: read as {read}; write another entity before the name for others",
                err=True,
            )
        if show_sql:
            say(as_written(compiled))
        else:
            print_rows(record.ask(*compiled), form, "No rows match.")


@click.command()
@click.argument("statement")
@database_option
@form_options
def sql(statement: str, db: str, form: str | None) -> None:
    """Print what a SELECT returns; the database can't be changed by it."""
    with open_record(db) as record:
        print_rows(record.ask(statement), form, "No rows.")


COMMANDS = (best, query, sql)
