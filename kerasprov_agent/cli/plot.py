"""`kerasprov plot`: curves and times of runs, in a file or in the terminal."""

from __future__ import annotations

import re

import click

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.plots.series import Group, common_metrics, groups
from kerasprov_agent.read import selection
from kerasprov_agent.read.record import Record, Row, open_record


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@database_option
@form_options
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="Draw this metric; repeatable. By default accuracy and loss.",
)
@click.option(
    "--by", multiple=True, metavar="NAME", help="Group the runs by a hyperparameter; repeatable."
)
@click.option(
    "--where",
    metavar="CONDITION",
    help='Only runs for which this holds; with `epoch`, as in "epoch > 0", only such epochs.',
)
@click.option("--time", "is_time", is_flag=True, help="Show the mean time of an epoch instead.")
@click.option(
    "--skip-first", is_flag=True, help="Leave out each run's first epoch, in which Keras compiles."
)
@click.option(
    "-o", "--output", metavar="FILE", help="Write a PNG, SVG or PDF file, as the name ends."
)
def plot(
    runs: tuple[str, ...],
    db: str,
    form: str | None,
    metrics: tuple[str, ...],
    by: tuple[str, ...],
    where: str | None,
    is_time: bool,
    skip_first: bool,
    output: str | None,
) -> None:
    """Draw the curves of RUN, all runs without one, by epoch: training solid, validation dashed.

    Where runs are grouped, the thick line is the mean of all of them; it ends where the first ends.

    \b
    kerasprov plot 1 2 -o curves.png
    kerasprov plot --metric val_accuracy --by activation
    kerasprov plot --time --skip-first --by optimizer
    """
    with open_record(db) as record:
        of_epochs = bool(where and re.search(r"\bepoch\b", where))
        pairs = selection.epochs_where(record, where) if of_epochs and where else None
        chosen = _chosen(record, runs, None if of_epochs else where, by)
        wanted = [] if is_time else list(metrics) or common_metrics(chosen)
        shown_groups = groups(record, chosen, wanted, by, pairs, skip_first)
    if not any(group.seconds or group.lines for group in shown_groups):
        raise KerasProvError("no epochs match")
    if is_time:
        shown_groups = [group for group in shown_groups if group.seconds]
        if not shown_groups:
            raise KerasProvError("of these runs the time of no epoch is known")
    if form is not None:
        print_rows(_times(shown_groups) if is_time else _points(shown_groups, wanted), form)
    elif output is None:
        from kerasprov_agent.plots import terminal

        click.echo(
            terminal.times(shown_groups) if is_time else terminal.curves(shown_groups, wanted)
        )
    else:
        from kerasprov_agent.plots import figure

        figure.write(
            output, figure.times(shown_groups) if is_time else figure.curves(shown_groups, wanted)
        )


def _chosen(
    record: Record, texts: tuple[str, ...], where: str | None, by: tuple[str, ...]
) -> list[Row]:
    rows = record.runs(columns=by, where=where)
    if texts:
        wanted = {record.find(text)["run"] for text in texts}
        rows = [row for row in rows if row["run"] in wanted]
    if not rows:
        raise KerasProvError("no runs match; see all of them with: kerasprov runs")
    return rows[::-1]


def _times(shown_groups: list[Group]) -> list[Row]:
    return [
        {
            "group": group.name,
            "runs": len(group.runs),
            "epochs": len(group.seconds),
            "seconds_per_epoch": sum(group.seconds) / len(group.seconds),
        }
        for group in shown_groups
    ]


def _points(shown_groups: list[Group], metrics: list[str]) -> list[Row]:
    """What is drawn, as numbers: the mean of a group's runs, and of how many it is."""
    return [
        {"group": group.name, "metric": name, "epoch": epoch, "value": value, "runs": count}
        for group in shown_groups
        for metric in metrics
        for name in (metric, f"val_{metric}")
        for epoch, value, count in group.means(name)
    ]


COMMANDS = (plot,)
