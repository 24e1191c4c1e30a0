"""`kerasprov trials`: the searches for hyperparameters, and their trials."""

from __future__ import annotations

from typing import Any

import click

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.read.record import Record, Row, mapping, open_record

FIRST = ("search", "trial", "status", "score")
AFTER = ("best_step", "runs", "run_numbers", "seconds", "message")


@click.command()
@click.argument("search", required=False)
@database_option
@form_options
def trials(search: str | None, db: str, form: str | None) -> None:
    """List the trials of SEARCH, a name or the beginning of an id; without it, of all searches.

    The best score comes first, each trial with its hyperparameters and the numbers of its runs.
    """
    with open_record(db) as record:
        rows = [_told(row) for row in _trials(record, search)]
    names = dict.fromkeys(name for row in rows for name in row)
    known = [
        name
        for name in (*FIRST, *(n for n in names if n not in (*FIRST, *AFTER)), *AFTER)
        if any(row.get(name) is not None for row in rows)
    ]
    shown = [{name: row.get(name) for name in known} for row in rows]
    print_rows(shown, form, "No trials match." if search else "No trials have been recorded.")


def _trials(record: Record, search: str | None) -> list[Row]:
    query = "SELECT t.*, s.started_at AS begun FROM trials t JOIN search s ON s.id = t.search_id"
    if search is not None:
        query += " WHERE s.name = :text OR substr(s.id, 1, length(:text)) = :text"
    rows = list(record.query(query, {"text": search} if search is not None else ()))
    rows.sort(key=_order)
    return rows


def _order(row: Row) -> tuple[Any, ...]:
    """Search after search, in each the best trial first and those without a score at the end."""
    score = row["score"]
    worse = 0.0 if score is None else score if row["direction"] != "max" else -score
    return row["begun"], score is None, worse, row["started_at"]


def _told(row: Row) -> Row:
    """A trial with its hyperparameters as columns."""
    row_values = {name: row[name] for name in (*FIRST, *AFTER)}
    row_values |= {k: v for k, v in mapping(row["hyperparameters"]).items() if k not in row_values}
    return row_values


COMMANDS = (trials,)
