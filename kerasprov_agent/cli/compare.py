"""`kerasprov diff`: what two runs differ in."""

from __future__ import annotations

import difflib
import os
from typing import Any

import click

from kerasprov_agent.cli import database_option, json_option
from kerasprov_agent.cli.tables import as_json as to_json
from kerasprov_agent.cli.tables import console, table
from kerasprov_agent.query import Record, Row, open_record

COLUMNS = (
    "status", "optimizer", "learning_rate", "batch_size", "epochs", "epochs_finished", "loss",
    "model", "activation", "dropout", "layers", "parameters", "samples", "script", "backend",
    "keras_version", "host", "git_commit",
)  # fmt: skip
"""Of the view `runs` what is compared."""


@click.command()
@click.argument("a")
@click.argument("b")
@database_option
@json_option
def diff(a: str, b: str, db: str, as_json: bool) -> None:
    """Show what the runs A and B differ in: settings, metrics, code."""
    with open_record(db) as record:
        first, second = record.find(a), record.find(b)
        settings = _differences(_settings(record, first), _settings(record, second))
        metrics = _differences(first["metrics"], second["metrics"])
        changes = _code_changes(record.code(first), record.code(second))
    if as_json:
        click.echo(to_json({"settings": settings, "metrics": metrics, "code": changes}))
        return
    out = console()
    names = [f"{run['run']} {run['name']}" for run in (first, second)]
    for title, found in (("settings", settings), ("metrics", metrics)):
        if found:
            rows = [[row["name"], row["a"], row["b"]] for row in found]
            out.print(table(["", *names], rows, title))
            out.print()
    if not settings and not changes:
        out.print("The runs do not differ in settings or code.")
    for change in changes:
        for line in change["diff"].splitlines():
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            click.echo(click.style(line, fg=colour))


def _settings(record: Record, run: Row) -> dict[str, Any]:
    found = {name: run[name] for name in COLUMNS}
    found["arguments"] = record.execution(run)["arguments"]
    for row in record.params(run):
        found.setdefault(row["name"], row["value"])
    return found


def _differences(a: dict[str, Any], b: dict[str, Any]) -> list[Row]:
    return [
        {"name": name, "a": a.get(name), "b": b.get(name)}
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name)
    ]


def _code_changes(a: list[Row], b: list[Row]) -> list[Row]:
    """Unified diffs of what two runs have in common in name, or only one of them has."""
    before, after = ({_key(one): one["text"] for one in side} for side in (a, b))
    found = []
    for key in dict.fromkeys([*before, *after]):
        lines = difflib.unified_diff(
            before.get(key, "").splitlines(),
            after.get(key, "").splitlines(),
            f"a/{key}",
            f"b/{key}",
            lineterm="",
        )
        text = "\n".join(lines)
        if text:
            found.append({"name": key, "diff": text})
    return found


def _key(one: Row) -> str:
    """A name by which code is found again where the same program lay elsewhere."""
    name = os.path.basename(one["name"] or "") if one["kind"] != "cell" else one["name"]
    return str(name) if one["kind"] != "git diff" else "git diff"


COMMANDS = (diff,)
