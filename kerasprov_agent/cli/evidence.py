"""Evidence for somebody else: `card`, `seal`, `verify`."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from kerasprov_agent import documents
from kerasprov_agent.cli import database_option, form_options
from kerasprov_agent.cli.screen import say
from kerasprov_agent.cli.tables import print_rows
from kerasprov_agent.errors import KerasProvError, UnknownRun
from kerasprov_agent.evidence import card as cards
from kerasprov_agent.evidence import markdown, signing, verifying
from kerasprov_agent.evidence import statement as statements
from kerasprov_agent.evidence.verifying import Checked
from kerasprov_agent.read.origin import Everything, Known, Origin, of_all
from kerasprov_agent.read.record import Record, open_record
from kerasprov_agent.replacing import replaced


@click.command()
@click.argument("what", metavar="[MODEL|RUN]", default="last")
@database_option
@click.option(
    "--annex-iv",
    is_flag=True,
    help="Order it by the headings of Annex IV, section 2 of the EU AI Act.",
)
@click.option("-o", "--output", metavar="FILE", help="Write to FILE: .md, or .html for a page.")
def card(what: str, db: str, annex_iv: bool, output: str | None) -> None:
    """Write a model card: what a model is, came of and can, and what nobody has said of it yet.

    Markdown, with the header that Hugging Face reads. What the record does not know stands there as
    not known, with what to write. MODEL is a path or a hash.
    """
    if output and not output.endswith((".md", ".html")):
        raise KerasProvError(f"{output}: the name must end in .md or .html")
    with open_record(db) as record:
        origin = Origin(record, what)
        text = cards.written(origin, annex_iv)
    if output is None:
        say(text, newline=False)
        return
    if output.endswith(".html"):
        body = text.partition("---\n")[2].partition("---\n")[2]
        text = markdown.page(body.lstrip().partition("\n")[0].strip("# "), body)
    with replaced(output) as beside:
        Path(beside).write_text(text, encoding="utf-8")


@click.command()
@click.argument("what", metavar="[MODEL|RUN]", default="last")
@database_option
@click.option("--all", "everything", is_flag=True, help="Seal all that the database holds.")
@click.option("--key", metavar="FILE", required=True,
              help="A private key of OpenSSH or PEM; it is stored nowhere.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE",
              help="The seal to write; by default the run's name with .seal.json.")  # fmt: skip
def seal(what: str, db: str, everything: bool, key: str, output: str | None) -> None:
    """Sign what led to a model, so that `verify --seal` finds any value that is altered later.

    The seal is an in-toto statement over the model's files and the record of all programs that led
    to it, in an envelope that is signed. The PROV document that it names is written beside it.
    Names, notes and tags may change afterwards. Needs `pip install 'kerasprov_agent[evidence]'`.
    """
    with open_record(db) as record:
        origin = Everything(record) if everything else Origin(record, what)
        name = "all" if everything or not origin.runs else str(origin.runs[-1]["name"])
        path = Path(output or re.sub(r"[^\w.-]", "_", name) + ".seal.json")
        stem = path.name.removesuffix(".json").removesuffix(".seal")
        beside = path.with_name(f"{stem}.prov.json")
        parts = [(execution["id"], None) for execution in origin.executions]
        document = documents.text(documents.Document(record.connection, parts), "json")
        digest = hashlib.sha256(document.encode()).hexdigest()
        statement = statements.of(origin, [(beside.name, digest)])
        envelope = signing.sign(
            statements.bytes_of(statement),
            key,
            lambda: str(click.prompt(f"Passphrase of {key}", hide_input=True, err=True)),
        )
    for place, text in ((beside, document), (path, envelope)):
        with replaced(str(place)) as half:
            Path(half).write_text(text, encoding="utf-8")
    say(f"{path} seals the record of {len(origin.executions)} programs, and {beside}")


@click.command()
@click.argument("what", metavar="[MODEL|RUN]", required=False)
@database_option
@form_options
@click.option("--all", "everything", is_flag=True, help="Check all files that the database knows.")
@click.option("--search", "directories", metavar="DIR", multiple=True, type=click.Path(),
              help="Look below DIR for files that were moved; repeatable.")  # fmt: skip
@click.option("--seal", "seal_file", metavar="FILE",
              help="Compare the record with a seal that was made of it.")  # fmt: skip
@click.option("--key", metavar="FILE", help="The public key that the seal must be signed with.")
def verify(
    what: str | None, db: str, form: str | None, everything: bool, directories: tuple[str, ...],
    seal_file: str | None, key: str | None,
) -> None:  # fmt: skip
    """Check whether the files that led to a model are still what they were, and the database too.

    Each data file, model and code file by its hash: same, moved, replaced (a later version is
    recorded), changed, gone, or unknown (no hash of it is recorded). MODEL is a path or a hash.
    With --seal also each recorded value: what was altered, and who had sealed it when. The exit
    status is 1 where something does not hold.
    """
    sealed = _sealed(seal_file, key)
    with open_record(db) as record:
        expected = list(of_all(record)) if everything else _expected(record, what, sealed)
        if not expected and not sealed:
            raise KerasProvError("no file is recorded of that, so there is nothing to verify")
        sets = None if everything else {k.entity_id for k in expected if k.directory}
        faults = list(verifying.problems(record, sets))
        if sealed:
            faults += [
                f"altered: {one}" for one in statements.differences(sealed.statement, record)
            ]
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("", total=verifying.to_read(expected))
        files = verifying.Files(directories, lambda count: progress.advance(bar, count))
        checked = [files.check(known) for known in expected]
        if sealed and seal_file:
            known = statements.subjects(sealed.statement, os.path.dirname(seal_file))
            checked += [files.check(each) for each in known]
    if form is None:
        if sealed:
            say(sealed.told)
        _print(checked, faults)
    else:
        database = [{"state": "damaged", "kind": "database", "path": fault} for fault in faults]
        print_rows([*map(_row, checked), *database], form)
    if faults or not all(one.state in verifying.HOLDS for one in checked):
        sys.exit(1)


class Sealed(NamedTuple):
    """A seal that was opened: its statement, the run that it is of, and what to say of it."""

    statement: dict[str, Any]
    run_id: str
    told: str


def _expected(record: Record, what: str | None, sealed: Sealed | None) -> list[Known]:
    """The files that led to a model; of a sealed one, of which no trace is left, none."""
    try:
        return list(Origin(record, what or (sealed.run_id if sealed else "last")).files())
    except UnknownRun:
        if what or not sealed:
            raise
        return []  # the rows that are gone are told all the same


def _sealed(seal_file: str | None, key: str | None) -> Sealed | None:
    """Open a seal; raises `KerasProvError` where its signature does not hold, or is another's."""
    if seal_file is None:
        if key is not None:
            raise KerasProvError("--key is for a seal; name it with --seal FILE")
        return None
    statement, signer = signing.opened(seal_file)
    made = statement["predicate"]["buildDefinition"]["internalParameters"]["sealedAt"]
    told = f"Sealed at {made} by {signer.fingerprint}"
    if key is None:
        told += "; give --key FILE to be sure whose key that is."
    elif signing.trusted(key) != signer:
        raise KerasProvError(f"{seal_file} is signed by {signer.fingerprint}, not by {key}")
    else:
        told += f", which is {key}."
    run_id = statement["predicate"]["runDetails"]["metadata"]["invocationId"]
    return Sealed(statement, run_id, told)


def _row(one: Checked) -> dict[str, Any]:
    known = one.known
    return {
        "state": one.state, "kind": known.kind, "path": known.path, "found_at": one.found_at,
        "sha256": known.sha256, "partial_sha256": known.partial_sha256, "bytes": known.bytes,
        "replaced_by": known.replaced_by if one.state == "replaced" else None,
    }  # fmt: skip


def _print(checked: Sequence[Checked], faults: Sequence[str]) -> None:
    """A row a file; of the files of a set that are the same only one."""
    together = Counter(
        (one.known.directory, one.known.kind) for one in checked if _is_plain_member(one)
    )
    rows: list[dict[str, Any]] = [
        {"state": "same", "kind": kind, "path": f"{directory}, {count} files", "found_at": None}
        for (directory, kind), count in together.items()
    ]
    for one in checked:
        if not _is_plain_member(one):
            row = _row(one)
            rows.append({name: row[name] for name in ("state", "kind", "path", "found_at")})
    order = {state: place for place, state in enumerate(("changed", "gone", "unknown"))}
    rows.sort(key=lambda row: order.get(row["state"], len(order)))
    print_rows(rows, None)
    for fault in faults:
        say(f"the database: {fault}")
    wrong = [one for one in checked if one.state not in verifying.HOLDS]
    say(
        f"{len(wrong)} of {len(checked)} files are not what they were."
        if wrong
        else f"{len(checked)} files are what they were."
    )
    say("The database is not whole." if faults else "The database is whole.")


def _is_plain_member(one: Checked) -> bool:
    return one.known.directory is not None and one.state == "same"


COMMANDS = (card, seal, verify)
