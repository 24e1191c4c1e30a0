"""Looking after a database: `doctor`, `pack`, `merge`, `tag`, `note`, `delete`, `prune`, ..."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

import click

from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.facts import tags_told
from kerasprov_agent.cli.screen import say
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.read import retention
from kerasprov_agent.read.record import Row, open_record
from kerasprov_agent.store import care
from kerasprov_agent.store import salvage as salvaging
from kerasprov_agent.visible import visible


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
    if not all(finding["ok"] for finding in findings):
        sys.exit(1)


@click.command()
@database_option
@click.option("-o", "--output", metavar="FILE", required=True, help="The new file.")
@click.option("--every", metavar="MINUTES", type=click.FloatRange(min=0, min_open=True),
              help="Go on, and put a new copy in its place so often.")  # fmt: skip
def pack(db: str, output: str, every: float | None) -> None:
    """Copy the database into one compact file to hand on, also while it is written.

    With --every it goes on until it is ended, and makes a last copy then. FILE may lie on a drive
    that is mounted over a network, where the database itself should not be.
    """
    if every is None:
        care.pack(db, output)
        return
    told_to_end: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: told_to_end.append(received))
    parent = os.getppid()
    care.keep_packed(db, output, every * 60, lambda: not told_to_end and os.getppid() == parent)


@click.command()
@database_option
@click.option("-o", "--output", metavar="FILE", required=True, help="The new file.")
def salvage(db: str, output: str) -> None:
    """Get back what is left of a damaged database, into a new file; the damaged one stays.

    The exit status is 1 where something could not be read.
    """
    saved = salvaging.salvage(db, output)
    lost = [one.table for one in saved if one.damaged]
    print_rows([one._asdict() for one in saved], None)
    say(f"{visible(output)} has what can be read.")
    if lost:
        say(f"Rows are lost of {', '.join(lost)}.")
        sys.exit(1)


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
        merged = care.merge(db, file)
        known = f", {merged.known} programs were here already" if merged.known else ""
        say(f"{file}: {merged.programs} programs, {len(merged.runs)} runs taken in{known}")
        if any(before != after for before, after in merged.runs.items()):
            renumbered = ", ".join(f"{before} is {after}" for before, after in merged.runs.items())
            say(f"  numbers of the runs: {renumbered}")


@click.command()
@click.argument("run")
@click.argument("tags", metavar="[KEY=VALUE]...", nargs=-1)
@database_option
@click.option("--program", is_flag=True, help="Tag the whole program: all runs of it.")
def tag(run: str, tags: tuple[str, ...], db: str, program: bool) -> None:
    """Set tags of RUN, then print all that it has; `KEY=` removes a tag."""
    pairs = [pair.partition("=") for pair in tags]
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
        row = record.find(run)
    if text is None:
        say(row["note"] or "")
    else:
        care.note(db, row["id"], text)


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
        doomed = [record.find(run) for run in dict.fromkeys(runs)]
        doomed += record.runs(where=where) if where is not None else []
    rows = {row["id"]: row for row in doomed}
    going = [str(row["run"]) for row in rows.values() if row["status"] == "running"]
    if going:
        raise KerasProvError(f"run {', '.join(going)} is still going; nothing was deleted")
    _show(list(rows.values()), form, "No such run.")
    _delete(db, list(rows), dry_run, yes)


@click.command()
@database_option
@form_options
@click.option("--keep-best", metavar="N", type=click.IntRange(min=0), default=0,
              help="Keep the best N runs, with --by in each group.")  # fmt: skip
@click.option("--metric", metavar="METRIC",
              help="The metric of --keep-best; by default val_loss, else loss.")  # fmt: skip
@click.option("--by", metavar="NAME", multiple=True,
              help="Group --keep-best by a hyperparameter, label or tag; repeatable.")  # fmt: skip
@click.option("--older-than", metavar="TIME",
              help="Only runs that began before: 2026-11-23, or an age such as 30d.")  # fmt: skip
@click.option("--where", metavar="CONDITION", help="Only runs for which this holds.")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def prune(
    db: str, form: str | None, keep_best: int, metric: str | None, by: tuple[str, ...],
    older_than: str | None, where: str | None, dry_run: bool, yes: bool,
) -> None:  # fmt: skip
    """Delete runs that nobody needs any more: not the best, not the new, and no ancestors of these.

    What the model of a run that stays came of is never deleted, nor is a run that still goes. The
    files themselves stay as they are. Shows what it would delete, then asks.
    """
    if not keep_best and older_than is None and where is None:
        raise KerasProvError("say what stays, or what may go: --keep-best, --older-than, --where")
    with open_record(db) as record:
        parts = retention.divided(record, keep_best, metric, by, older_than, where)
    _show(parts.deletable, form, "No run may be deleted.")
    if form is None:
        counts = (
            (parts.best, "the best"), (parts.others, "not meant"), (parts.going, "still going"),
            (parts.ancestors, "ancestors of these"),
        )  # fmt: skip
        told = ", ".join(f"{len(rows)} {what}" for rows, what in counts if rows)
        say(f"{len(parts.deletable)} runs may be deleted; what stays: {told or 'nothing'}.")
    _delete(db, [row["id"] for row in parts.deletable], dry_run, yes)


def _show(rows: Sequence[Row], form: str | None, empty: str) -> None:
    shown = ("run", "name", "status", "started_at", "epochs_finished")
    print_rows([{name: row[name] for name in shown} for row in rows], form, empty)


def _delete(db: str, run_ids: list[str], dry_run: bool, yes: bool) -> None:
    """Delete runs, after asking."""
    if dry_run or not run_ids:
        return
    if not yes:
        click.confirm(f"Delete {len(run_ids)} run{'s' if len(run_ids) > 1 else ''}?", abort=True)
    care.delete(db, run_ids)


COMMANDS = (doctor, salvage, pack, merge, rename, tag, note, delete, prune)
