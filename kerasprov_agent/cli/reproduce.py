"""`kerasprov reproduce`: train again what was recorded, and compare."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
from typing import Any

import click

from kerasprov_agent.cli import database_option
from kerasprov_agent.cli.screen import say
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.evidence.reproducing import Plan, compared
from kerasprov_agent.read import comparison
from kerasprov_agent.read.record import Row, open_record
from kerasprov_agent.store import care
from kerasprov_agent.visible import visible


@click.command()
@click.argument("run", default="last")
@database_option
@click.option("-o", "--output", metavar="DIR",
              help="The folder to make; by default the run's name with .again.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be done, and make nothing.")
@click.option("--run", "train", is_flag=True,
              help="Train it, too, in a new virtual environment with its packages.")  # fmt: skip
@click.option("--here", is_flag=True, help="With --run: train with this Python and its packages.")
@click.option("--tolerance", metavar="SHARE", type=click.FloatRange(min=0), default=0.0,
              help="Call metrics the same that differ by no more than this share.")  # fmt: skip
@click.option("--search", "directories", metavar="DIR", multiple=True, type=click.Path(),
              help="Look below DIR for data that were moved; repeatable.")  # fmt: skip
def reproduce(
    run: str, db: str, output: str | None, dry_run: bool, train: bool, here: bool,
    tolerance: float, directories: tuple[str, ...],
) -> None:  # fmt: skip
    """Make a folder from which RUN can be trained again, train it there, and compare.

    The folder has the code as it was, the exact packages, the command, the data's hashes, and links
    to the data. With --run the training is compared with the record, epoch by epoch: identical, the
    same within a tolerance, or different, and in what else the two differ. The exit status is then
    1 where they are different.
    """
    if here and not train:
        raise KerasProvError("--here is for --run: kerasprov reproduce RUN --run --here")
    with open_record(db) as record:
        found = record.find(run)
        folder = output or re.sub(r"[^\w.-]", "_", str(found["name"])) + ".again"
        plan = Plan(record, found, folder, directories)
        rows = [
            {"state": one.state, "path": one.known.path, "found_at": one.found_at}
            for one in plan.data
        ]
        obstacles = list(plan.obstacles())
        say(f"python -m kerasprov_agent {shlex.join(plan.command)}")
        _print_data(rows)
        for line in obstacles:
            say(f"It can't be run as it is: {line}")
        if dry_run:
            return
        if train and obstacles:
            raise KerasProvError("nothing was trained, for the reasons above")
        plan.write()
        say(f"{folder} has all of it; sh {os.path.join(folder, 'run.sh')} trains it.")
        before = record.epochs(found)
    if train:
        database = str(plan.train(here))
        _compare(db, found, before, database, tolerance)


def _print_data(rows: list[dict[str, Any]]) -> None:
    wrong = [row for row in rows if row["state"] not in ("same", "moved")]
    shown = wrong or [row for row in rows if row["state"] == "moved"]
    if shown:
        print_rows(shown, None)
    say(f"{len(rows) - len(wrong)} of {len(rows)} files that it read are there, as they were.")


def _compare(db: str, found: Row, before: list[Row], database: str, tolerance: float) -> None:
    """Say how two trainings compare; the exit status is 1 where they are different."""
    ordinal = str(found["id"]).rpartition("#")[2]
    with open_record(database) as record:
        runs = [row for row in record.runs() if str(row["id"]).endswith(f"#{ordinal}")]
        if not runs:
            raise KerasProvError("the program ended without training what it had trained then")
        outcome = compared(before, record.epochs(runs[-1]), tolerance)
    with tempfile.TemporaryDirectory() as place:
        both = os.path.join(place, "both.db")
        for each, run in ((db, found), (database, runs[-1])):
            care.merge(both, each, only={run["execution_id"]})
        with open_record(both) as record:
            pair = [record.find(str(row["id"])) for row in (found, runs[-1])]
            sections = comparison.compare(record, pair)
    for section in ("data", "packages", "machine", "code"):
        rows = sections[section]
        # The same files lie elsewhere now.
        names = sorted({str(row["name"]) for row in rows} - {"host"})
        if names:
            say(f"{section} that differ: {', '.join(map(visible, names))}")
    say(f"Epoch by epoch {outcome.told}.")
    if not outcome.same:
        sys.exit(1)


COMMANDS = (reproduce,)
