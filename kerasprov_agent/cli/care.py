"""`kerasprov doctor`, `pack`, `rename`, `tag`: looking after a database."""

from __future__ import annotations

import sys

import click

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.query import open_record
from kerasprov_agent.store import care


@click.command()
@database_option
@form_options
@click.option("--mend", is_flag=True, help="Take in spool files; mark vanished programs as lost.")
def doctor(db: str, form: str, mend: bool) -> None:
    """Examine the database; the exit status is 1 where something is wrong."""
    if mend:
        care.mend(db)
    findings = care.examine(db)
    print_rows(findings, form)
    if not all(one["ok"] for one in findings):
        sys.exit(1)


@click.command()
@database_option
@click.option("-o", "--output", metavar="FILE", required=True, help="A file that is not there yet.")
def pack(db: str, output: str) -> None:
    """Copy the database into one compact file to hand on, also while it is written."""
    care.pack(db, output)


@click.command()
@click.argument("run")
@click.argument("name")
@database_option
def rename(run: str, name: str, db: str) -> None:
    """Call RUN by another NAME."""
    with open_record(db) as record:
        run_id = record.find(run)["id"]
    care.rename(db, run_id, name)


@click.command()
@click.argument("run")
@click.argument("tags", metavar="KEY=VALUE...", nargs=-1, required=True)
@database_option
def tag(run: str, tags: tuple[str, ...], db: str) -> None:
    """Set tags of the program of RUN; `KEY=` takes one out. Prints all there are."""
    pairs = [one.partition("=") for one in tags]
    for (key, sign, _), text in zip(pairs, tags, strict=True):
        if not key.strip() or not sign:
            raise KerasProvError(f"{text!r} is not of the form KEY=VALUE")
    with open_record(db) as record:
        execution_id, _ = record.find_execution(run)
    found = care.tag(db, execution_id, {key.strip(): value or None for key, _, value in pairs})
    click.echo(", ".join(f"{key}={value}" for key, value in found.items()))


COMMANDS = (doctor, pack, rename, tag)
