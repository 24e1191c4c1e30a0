"""`kerasprov runs`: the runs, filtered, sorted, live."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import Any

import click
from rich.table import Table

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.screen import console, say
from kerasprov_agent.cli.tables import (
    as_csv,
    as_json,
    duration,
    epochs_told,
    metric_names,
    moment,
    table,
)
from kerasprov_agent.query import Record, Row, open_record
from kerasprov_agent.visible import visible

WATCH_SECONDS = 2.0
STATUSES = ("running", "finished", "failed", "interrupted", "lost")


@click.command()
@database_option
@form_options
@click.option("-n", "--limit", default=20, show_default=True, help="So many; 0: all.")
@click.option("--where", metavar="CONDITION", help="As \"val_loss < 0.5 and optimizer = 'adam'\".")
@click.option("--name", metavar="NAME", help="Of that name; * stands for anything.")
@click.option("--since", metavar="TIME", help="Begun since 2026-11-23, or an age such as 7d.")
@click.option("--status", type=click.Choice(STATUSES), help="That ended so.")
@click.option("--columns", metavar="NAME,...", help="Columns, metrics and params to show.")
@click.option("--sort", metavar="[-]NAME", help="By a column or metric; with - the greatest first.")
@click.option("--show-sql", is_flag=True, help="Print the SQL by which it is asked.")
@click.option("--watch", is_flag=True, help="Show it anew every two seconds, until Ctrl-C.")
def runs(
    db: str,
    form: str,
    limit: int,
    where: str | None,
    name: str | None,
    since: str | None,
    status: str | None,
    columns: str | None,
    sort: str | None,
    show_sql: bool,
    watch: bool,
) -> None:
    """List the runs, the newest first, with the metrics of their last epoch."""
    chosen = [one.strip() for one in columns.split(",") if one.strip()] if columns else []
    which: dict[str, Any] = {"where": where, "name": name, "since": since, "sort": sort}

    def asked(record: Record) -> list[Row]:
        return record.runs(limit or None, columns=chosen, status=status, **which)

    def found() -> list[Row]:
        with open_record(db) as record:
            return asked(record)

    if show_sql:
        with open_record(db) as record:
            text, values = record.runs_query(chosen, **which)
        say(f"{text}\n-- {list(values)}")
    elif watch:
        _watch(lambda: _runs_table(found(), chosen))
    elif form == "json":
        say(as_json([_chosen(row, chosen) for row in found()]))
    elif form == "csv":
        _print_csv(found(), chosen)
    else:
        with open_record(db) as record:
            rows = asked(record)
            is_empty = not rows and not record.runs(1)
        if rows:
            console().print(_runs_table(rows, chosen))
        else:
            say(f"No runs in {visible(db)} yet." if is_empty else "No run is like that.")


def _chosen(row: Row, columns: list[str]) -> Row:
    return {name: row[name] for name in columns} if columns else row


def _runs_table(rows: list[Row], columns: list[str]) -> Table:
    if columns:
        return table(columns, ([row[name] for name in columns] for row in rows))
    names = metric_names(row["metrics"] for row in rows)
    shown = ["run", "name", "status", "started", "took", "epochs", "optimizer", "rate", "batch"]
    return table(
        [*shown, *names],
        (
            [
                row["run"],
                row["name"],
                row["status"],
                moment(row["started_at"]),
                duration(row["seconds"]),
                epochs_told(row),
                row["optimizer"],
                row["learning_rate"],
                row["batch_size"],
                *(row["metrics"].get(name) for name in names),
            ]
            for row in rows
        ),
    )


def _print_csv(rows: list[Row], columns: list[str]) -> None:
    """All columns, each metric as one of them."""
    if columns or not rows:
        lines = [[row[name] for name in columns] for row in rows]
        say(as_csv(columns, lines), newline=False)
        return
    own = [name for name in rows[0] if name != "metrics"]
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    # A metric may bear the name of a column, such as the loss.
    names = [f"metric.{name}" if name in own else name for name in metrics]
    lines = [
        [*(row[name] for name in own), *(row["metrics"].get(name) for name in metrics)]
        for row in rows
    ]
    say(as_csv([*own, *names], lines), newline=False)


def _watch(made: Callable[[], Table]) -> None:
    from rich.live import Live

    live = Live(console=console(), auto_refresh=False)
    try:
        live.start()  # within: Ctrl-C may come with the first picture
        while True:
            live.update(made(), refresh=True)
            sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        live.stop()


COMMANDS = (runs,)
