"""Looking after a database: `doctor`, `pack`, `merge`, `rename`, `tag`, `note`, `delete`."""

from __future__ import annotations

import sys

import click

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.facts import tags_told
from kerasprov_agent.cli.screen import say
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read.record import open_record
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
@click.option("-o", "--output", metavar="FILE", required=True, help="The new file.")
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
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@database_option
def merge(files: tuple[str, ...], db: str) -> None:
    """Take the programs of other databases in, with their runs, epochs, files and models.

    What is here already is left out: merging twice adds nothing. Runs get new numbers.
    """
    for file in files:
        found = care.merge(db, file)
        known = f", {found.known} programs were here already" if found.known else ""
        say(f"{file}: {found.programs} programs, {len(found.runs)} runs taken in{known}")
        if any(before != after for before, after in found.runs.items()):
            told = ", ".join(f"{before} is {after}" for before, after in found.runs.items())
            say(f"  numbers of the runs: {told}")


@click.command()
@click.argument("run")
@click.argument("tags", metavar="[KEY=VALUE]...", nargs=-1)
@database_option
@click.option("--program", is_flag=True, help="Tag the whole program: all runs of it.")
def tag(run: str, tags: tuple[str, ...], db: str, program: bool) -> None:
    """Set tags of RUN, then print all that it has; `KEY=` removes a tag."""
    pairs = [one.partition("=") for one in tags]
    for (key, sign, _), text in zip(pairs, tags, strict=True):
        if not key.strip() or not sign:
            raise KerasProvError(f"{text!r} is not of the form KEY=VALUE")
    with open_record(db) as record:
        execution_id, run_id = record.find_execution(run)
        (row,) = record.query("SELECT kind FROM executions WHERE id = ?", (execution_id,))
    # Importing again replaces what is known of an imported program, not what its run was given.
    of_program = run_id is None or (program and row["kind"] != "import")
    if pairs:
        given = {key.strip(): value or None for key, _, value in pairs}
        if of_program:
            care.tag_program(db, execution_id, given)
        else:
            care.tag_run(db, str(run_id), given)
    view, row_id = ("executions", execution_id) if of_program else ("runs", run_id)
    with open_record(db) as record:
        (row,) = record.query(f"SELECT tags FROM {view} WHERE id = ?", (row_id,))
    say(tags_told(row["tags"]) or "no tags")


@click.command()
@click.argument("run")
@click.argument("text", required=False)
@database_option
def note(run: str, text: str | None, db: str) -> None:
    """Keep a note TEXT with RUN; an empty one takes it out. Without TEXT, print the note."""
    with open_record(db) as record:
        found = record.find(run)
    if text is None:
        say(found["note"] or "")
    else:
        care.note(db, found["id"], text)


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@database_option
@form_options
@click.option("--where", metavar="CONDITION", help="Delete the runs for which this holds.")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def delete(
    runs: tuple[str, ...], db: str, form: str | None, where: str | None, dry_run: bool, yes: bool
) -> None:
    """Delete RUN with all that only it needs: epochs, evaluations, code, files' hashes.

    The files themselves stay as they are. Asks first.
    """
    if not runs and where is None:
        raise KerasProvError("say which runs to delete: RUN..., or --where CONDITION")
    with open_record(db) as record:
        found = [record.find(run) for run in dict.fromkeys(runs)]
        found += record.runs(where=where) if where is not None else []
    rows = {row["id"]: row for row in found}
    going = [str(row["run"]) for row in rows.values() if row["status"] == "running"]
    if going:
        raise KerasProvError(f"run {', '.join(going)} is still going; nothing was deleted")
    shown = ("run", "name", "status", "started_at", "epochs_finished")
    print_rows([{name: row[name] for name in shown} for row in rows.values()], form, "No such run.")
    if dry_run or not rows:
        return
    if not yes:
        click.confirm(f"Delete {len(rows)} run{'s' if len(rows) > 1 else ''}?", abort=True)
    care.delete(db, list(rows))


COMMANDS = (doctor, pack, merge, rename, tag, note, delete)
