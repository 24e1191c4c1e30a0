"""`kerasprov diff`: what runs differ in."""

from __future__ import annotations

import click

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.screen import console, say
from kerasprov_agent.cli.tables import FittedTable, as_json, print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.comparison import compare
from kerasprov_agent.read.record import open_record
from kerasprov_agent.visible import visible


@click.command()
@click.argument("runs", metavar="A B [C]...", nargs=-1, required=True)
@database_option
@form_options
def diff(runs: tuple[str, ...], db: str, form: str | None) -> None:
    """Show what runs differ in: settings, layers, data, code, packages, machine.

    And what came of it: their metrics at the end and at their best, their time.
    """
    if len(runs) < 2:
        raise KerasProvError("diff needs two runs or more; for all of one: kerasprov show RUN")
    with open_record(db) as record:
        comparison = compare(record, [record.find(run) for run in dict.fromkeys(runs)])
    if form == "json":
        say(as_json(comparison))
        return
    if form == "csv":
        tables = [
            {"section": s, **row} for s, rows in comparison.items() if s != "code" for row in rows
        ]
        print_rows(tables, form)
        return
    out = console()
    for title, rows in comparison.items():
        if rows and title != "code":
            columns = list(rows[0])
            shown = ["" if name == "name" else name for name in columns]
            out.print(FittedTable(shown, [[row[name] for name in columns] for row in rows], title))
            out.print()
    if not any(rows for title, rows in comparison.items() if title != "outcome"):
        out.print("The runs do not differ in settings, data, code or environment.")
    for change in comparison["code"]:
        say(visible(f"{change['run']}: {change['name']}"), bold=True)
        for line in change["diff"].splitlines():
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            say(line, fg=colour)


COMMANDS = (diff,)
