"""`kerasprov runs`: the runs, filtered, sorted, live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import sleep
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.text import Text

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.screen import console, say
from kerasprov_agent.cli.tables import FittedTable, as_csv, as_json, epochs_told, metric_names
from kerasprov_agent.read.conditions import as_written
from kerasprov_agent.read.record import Record, Row, mapping, open_record
from kerasprov_agent.read.wording import duration, moment, short
from kerasprov_agent.visible import visible

WATCH_SECONDS = 2.0
SETTINGS = (
    "model", "optimizer", "learning_rate", "batch_size", "activation", "dropout", "layers", "loss",
    "backend",
)  # fmt: skip
"""What is chosen for a run, of the columns of the view `runs`."""
STATUSES = ("running", "finished", "failed", "interrupted", "lost")


@click.command()
@database_option
@form_options
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Show at most so many runs (0 = all).",
)
@click.option(
    "--where", metavar="CONDITION", help="Only runs like \"val_loss < 0.5 and optimizer = 'adam'\"."
)
@click.option("--name", metavar="NAME", help="Only runs of that name; * stands for anything.")
@click.option(
    "--since",
    metavar="TIME",
    help="Only runs started since then: 2026-11-23, or an age such as 7d.",
)
@click.option("--status", type=click.Choice(STATUSES), help="Only runs that ended like this.")
@click.option(
    "--columns",
    metavar="NAME,...",
    help="Show these columns, metrics, hyperparameters, arguments or tags.",
)
@click.option(
    "--sort", metavar="[-]NAME", help="Sort by a column or metric; with - the greatest comes first."
)
@click.option("--show-sql", is_flag=True, help="Print the SQL instead of the answer.")
@click.option("--watch", is_flag=True, help="Show the list again every two seconds, until Ctrl-C.")
def runs(
    db: str,
    form: str | None,
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
    """List the runs, the newest first, with the metrics of their last epoch.

    Settings that differ between the runs are columns; a line above tells those that are the same.
    """
    chosen = [column.strip() for column in columns.split(",") if column.strip()] if columns else []
    which: dict[str, Any] = {"where": where, "name": name, "since": since, "sort": sort}

    def found(record: Record) -> list[Row]:
        return record.runs(limit or None, columns=chosen, status=status, **which)

    def shown() -> RenderableType:
        with open_record(db) as record:
            rows = found(record)
            if rows:
                return _runs_table(rows, chosen, record.arguments(rows))
            message = "No runs match." if record.runs(1) else f"No runs in {visible(db)} yet."
            return Text(message, no_wrap=True, overflow="ignore")

    if watch and not show_sql:
        _watch(shown)
        return
    if form is None and not show_sql:
        console().print(shown())
        return
    with open_record(db) as record:
        if show_sql:
            say(as_written(record.runs_query(chosen, **which)))
        elif form == "json":
            say(as_json([_chosen(row, chosen) for row in found(record)]))
        else:
            _print_csv(found(record), chosen)


def _chosen(row: Row, columns: list[str]) -> Row:
    return {name: row[name] for name in columns} if columns else row


def _runs_table(
    rows: list[Row], columns: list[str], arguments: Mapping[str, Row]
) -> RenderableType:
    if columns:
        return FittedTable(columns, ([row[name] for name in columns] for row in rows))
    settings = [_settings(row, arguments.get(row["id"], {})) for row in rows]
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    varying = [name for name in names if len({repr(setting.get(name)) for setting in settings}) > 1]
    common = {name: settings[0][name] for name in names if name not in varying}
    metrics = metric_names(row["metrics"] for row in rows)
    is_clear = all(row["status"] == "finished" for row in rows)
    shown = ["run", "name", *([] if is_clear else ["status"]), *varying, *metrics]
    made = FittedTable(
        [*shown, "epochs", "took", "started"],
        (
            [
                row["run"],
                row["name"],
                *([] if is_clear else [row["status"]]),
                *(own.get(name) for name in varying),
                *(row["metrics"].get(name) for name in metrics),
                epochs_told(row),
                duration(row["seconds"]),
                moment(row["started_at"]),
            ]
            for row, own in zip(rows, settings, strict=True)
        ),
    )
    line = ", ".join(f"{name} {short(value)}" for name, value in common.items() if value != "")
    whose = "all of them: " if len(rows) > 1 else ""
    return Group(Text(f"{whose}{line}", style="dim"), made) if line else made


def _settings(row: Row, arguments: Row) -> Row:
    """What was chosen for a run: what its command line says, its hyperparameters, its tags."""
    tags = {f"tag.{name}": value for name, value in mapping(row["tags"]).items()}
    settings = {name: row[name] for name in SETTINGS if row[name] is not None}
    given = {name: value for name, value in arguments.items() if name not in row}
    return {**given, **settings, **tags}


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


def _watch(made: Callable[[], RenderableType]) -> None:
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
