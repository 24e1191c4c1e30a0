"""The program's code in PROV: the plan of the execution, its modules, the cells of a notebook."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator

from kerasprov_agent.documents import files
from kerasprov_agent.documents.activity import boolean
from kerasprov_agent.documents.scope import Scope
from kerasprov_agent.documents.statement import Statement, present, used
from kerasprov_agent.documents.vocabulary import Name, ncname


def plan(scope: Scope) -> Name | None:
    """The name of what the execution ran: its script, or its notebook."""
    return scope.own("script") if scope.execution["script"] or _cells(scope) else None


def program_code(scope: Scope) -> Iterator[Statement]:
    """The script with its content; the modules and cells that belong to the program."""
    execution, script = scope.execution, plan(scope)
    query = "SELECT * FROM module WHERE execution_id = ? ORDER BY name"
    modules, cells = scope.rows(query, execution["id"]), _cells(scope)
    diff = execution["git_diff_original_sha256"] or execution["git_diff_sha256"]
    if script is not None:
        yield Statement(
            "entity",
            script,
            (),
            present(
                ("prov:type", Name("kp:File") if execution["script"] else None),
                ("prov:type", Name("prov:Plan")),
                ("prov:type", Name("schema:SoftwareSourceCode")),
                ("prov:type", Name("prov:Collection") if modules or cells else None),
                ("prov:label", execution["script"] or execution["kind"]),
                ("prov:location", execution["script"]),
                ("schema:codeRepository", execution["git_remote"]),
                ("kp:gitCommit", execution["git_commit"]),
                ("kp:gitBranch", execution["git_branch"]),
                ("kp:gitDirty", boolean(execution["git_dirty"])),
                ("kp:gitDiffSha256", diff),
            ),
        )
        original = execution["script_original_sha256"]
        yield from _content(scope, script, execution["script_sha256"], original)
    for row in modules:
        name = scope.own(f"module-{ncname(row['name'])}")
        label, kind = row["name"], Name("kp:File")
        yield from _part(scope, row, name, label, kind, script, row["path"])
    for row in cells:
        name = scope.own(f"cell-{row['number']}")
        yield from _part(scope, row, name, f"In [{row['number']}]", Name("kp:Cell"), script, None)


def _part(
    scope: Scope,
    row: sqlite3.Row,
    name: Name,
    label: str,
    kind: Name,
    whole: Name | None,
    path: str | None,
) -> Iterator[Statement]:
    """A module or a cell: part of the plan, or else used by the execution."""
    types = (("prov:type", kind), ("prov:type", Name("schema:SoftwareSourceCode")))
    location = ("prov:location", path and os.fspath(path))
    yield Statement("entity", name, (), present(*types, ("prov:label", label), location))
    yield from _content(scope, name, row["sha256"], row["original_sha256"])
    if whole is not None:
        yield Statement("hadMember", None, (whole, name))
    else:
        yield used(scope.local(scope.execution["id"]), name, None)


def _cells(scope: Scope) -> list[sqlite3.Row]:
    return scope.rows(
        "SELECT * FROM cell WHERE execution_id = ? ORDER BY number", scope.execution["id"]
    )


def _content(
    scope: Scope, name: Name, sha256: str | None, original: str | None
) -> Iterator[Statement]:
    """The content of the file itself, also where secrets are blanked out in the text stored."""
    for source in scope.rows("SELECT sha256, bytes FROM source WHERE sha256 = ?", sha256):
        if original is None:
            yield from files.content_of(name, source["sha256"], source["bytes"])
        else:
            yield from files.content_of(name, original, None)
