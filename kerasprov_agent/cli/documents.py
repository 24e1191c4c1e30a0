"""`kerasprov prov`: W3C PROV documents."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import perf_counter

import click

from kerasprov_agent import documents
from kerasprov_agent.cli import database_option
from kerasprov_agent.documents.statement import Statement
from kerasprov_agent.documents.statements import PROFILES
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.record import open_record
from kerasprov_agent.settings import Values

BAR_AFTER_SECONDS = 1.0

HELP = "; ".join(f"{form.name}: {form.meaning}" for form in documents.FORMATS.values())


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@database_option
@click.option("--all", "everything", is_flag=True, help="Write all programs of the database.")
@click.option("--execution", is_flag=True, help="Write all of the program to which RUN belongs.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(documents.FORMATS)),
    help=f"{HELP}. By default what FILE ends in, or json.",
)
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    help="full: with every epoch; summary: without. By default a run of over 1,000 epochs is "
    "summarised.",
)
@click.option(
    "--bundles", is_flag=True, help="Write a PROV bundle for each RUN, not one merged document."
)
@click.option("--detail", is_flag=True, help="Draw similar things one by one, not as a stack.")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, not to the terminal.")
def prov(
    runs: tuple[str, ...],
    db: str,
    everything: bool,
    execution: bool,
    format_: str | None,
    profile: str | None,
    bundles: bool,
    detail: bool,
    output: str | None,
) -> None:
    """Write the W3C PROV document of RUN, also while it is still going; by default of the last.

    RUN may also be the name of a program that trained nothing, or the beginning of its id. Several
    are merged into one document, or have a bundle each.
    """
    format_ = format_ or (documents.of_ending(output) if output else None) or "json"
    if not documents.FORMATS[format_].readable and output is None and sys.stdout.isatty():
        raise KerasProvError(f"{format_} is not for the terminal: give -o FILE")
    with open_record(db) as record:
        parts = record.parts(() if everything else runs or ("last",), bundles, execution)
        base = Values(strict=True).base
        document = documents.Document(record.connection, parts, profile, bundles, base, detail)
        statements = _shown(document.statements(), document)
        documents.write_to(output, document, format_, statements)


def _shown(statements: Iterable[Statement], document: documents.Document) -> Iterator[Statement]:
    """The same statements, with a bar on stderr where it takes a while and somebody looks on."""
    if not sys.stderr.isatty():
        yield from statements
        return
    from rich.console import Console
    from rich.progress import Progress

    began, done = perf_counter(), 0
    with Progress(console=Console(stderr=True), transient=True, disable=False) as progress:
        task = progress.add_task("statements", total=document.size(), visible=False)
        for statement in statements:
            yield statement
            done += 1
            if done % 5000 == 0:
                late = perf_counter() - began > BAR_AFTER_SECONDS
                progress.update(task, completed=done, visible=late)


COMMANDS = (prov,)
