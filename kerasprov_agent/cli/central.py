"""One PostgreSQL for a team: `push`, `pull`, and `central init`, `status`, `doctor`."""

from __future__ import annotations

import sys

import click

from kerasprov_agent.central import (
    archive,
    checking,
    following,
    pulling,
    sending,
    server,
    source,
    status,
)
from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.screen import complain, say
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.settings import Values
from kerasprov_agent.store.turns import turn


def _address(url: str | None) -> str:
    found = url or Values(strict=True).central
    if found is None:
        raise KerasProvError(
            "name the central store: postgresql://… as URL, or in the setting KERASPROV_CENTRAL"
        )
    return server.check_url(found)


def _tell(news: sending.Sent | Exception) -> None:
    if isinstance(news, Exception):
        complain(f"{news}; it is tried again")
    else:
        say(f"sent {news.units} units and {news.epochs} epochs")


url_argument = click.argument("url", required=False)


@click.command()
@url_argument
@database_option
@click.option("--follow", is_flag=True, help="Go on, and send what is recorded from now on.")
def push(url: str | None, db: str, follow: bool) -> None:
    """Send the database to the central store at URL, or what it does not have yet.

    Without URL it is that of the setting KERASPROV_CENTRAL. What was sent before is not sent
    again; to push twice makes no difference.
    """
    address = _address(url)
    source.prepare(db)
    if follow:
        try:
            with turn(db, lambda: True):
                following.follow(db, address, lambda: True, 0.0, _tell)
        except KeyboardInterrupt:
            return
    sent = sending.send_all(db, address)
    say(f"{sent.units} units and {sent.epochs} epochs were sent to {server.shown(address)}")
    for key in sent.refused:
        complain(f"{key} was sent by another role before, which alone may change it")


@click.command()
@url_argument
@click.option("-o", "--output", metavar="FILE", required=True, help="The database to write.")
@click.option("--where", metavar="CONDITION", help="Only the runs for which this holds.")
def pull(url: str | None, output: str, where: str | None) -> None:
    """Write what the central store at URL holds to a database, on which all commands work.

    A file that was pulled before is replaced.
    """
    runs = pulling.pull(_address(url), output, where)
    say(f"{runs} runs are in {output}")


@click.group()
def central() -> None:
    """Make and examine a central store."""


@central.command()
@url_argument
@click.option("--by-month", is_flag=True, help="Keep epochs in a table for each month.")
def init(url: str | None, by_month: bool) -> None:
    """Make the central store in the database at URL, or bring it up to date.

    Whoever runs this owns it. The roles kerasprov_writer and kerasprov_reader get the rights.
    """
    address = _address(url)
    server.initialize(address, by_month)
    say(f"{server.shown(address)} is a central store; let people write with:")
    say("  GRANT kerasprov_writer TO ada")


@central.command("status")
@url_argument
@form_options
def status_(url: str | None, form: str | None) -> None:
    """Which databases send to the central store, and when it heard of them last."""
    print_rows(status.stores(_address(url)), form, "Nothing was sent there yet.")


@central.command()
@url_argument
@database_option
@form_options
def doctor(url: str | None, db: str, form: str | None) -> None:
    """Compare the database with the central store; the exit status is 1 if they differ."""
    source.prepare(db)
    found = checking.differences(db, _address(url))
    print_rows(found, form, "Both hold the same.")
    if found:
        sys.exit(1)


@central.command()
@url_argument
@click.option("--month", metavar="YYYY-MM", required=True, help="The month; it has to be over.")
@click.option("-o", "--output", metavar="FILE", required=True, help="The Parquet file to write.")
def export(url: str | None, month: str, output: str) -> None:
    """Write the epochs of a month from the central store at URL as a Parquet file."""
    rows = archive.export(_address(url), month, output)
    say(f"{rows} epochs of {month} are in {output}")


COMMANDS = (push, pull, central)
