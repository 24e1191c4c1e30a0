"""`kerasprov lineage`: what a model came of, and what was made of a file."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import click
from rich.markup import escape
from rich.tree import Tree

from kerasprov_agent.cli import database_option
from kerasprov_agent.cli.tables import as_json, console, short
from kerasprov_agent.errors import KerasProvError
from kerasprov_agent.lineage import Lineage
from kerasprov_agent.query import Row, open_record

FORMATS = ("tree", "json", "dot", "svg", "png")
KNOWN = {
    "same_buffer": "the same memory",
    "content_match": "by what it holds",
    "pipeline": "read by the input",
    "same_content": "the same content",
    "declared": "as the program tells",
    "read_before": "perhaps: was read before",
}
"""How a step is known, in words; what was done by Keras needs none."""


@click.command()
@click.argument("what", metavar="PATH|RUN|HASH", default="last")
@database_option
@click.option("--back", "only", flag_value="back", help="Only what it came of.")
@click.option("--forward", "only", flag_value="forward", help="Only what was made of it.")
@click.option("--files", is_flag=True, help="List the raw files that it came of, a line each.")
@click.option("--all", "perhaps", is_flag=True, help="Also files that were merely read before.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="tree", show_default=True,
    help="dot is Graphviz's language; svg and png need its program.",
)  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Write here, not to the terminal.")
def lineage(
    what: str, db: str, only: str | None, files: bool, perhaps: bool, form: str, output: str | None
) -> None:
    """Trace a model, file or run back to its raw data, and forward to all that was made of it.

    A file is found by its content, so that it may have been moved, renamed or copied.
    """
    with open_record(db) as record:
        found = Lineage(record, perhaps)
        start = found.find(what)
        if files:
            click.echo("\n".join(found.files(found.reach(start, "back"))))
            return
        directions = [only] if only else ["back", "forward"]
        if form == "tree":
            for direction in directions:
                _print_tree(found, start, direction, perhaps)
            return
        graphs = [found.as_graph(start, direction) for direction in directions]
        graph = {**graphs[0], "direction": only or "both"}
        for other in graphs[1:]:
            known = {node["id"] for node in graph["nodes"]}
            graph["nodes"] += [node for node in other["nodes"] if node["id"] not in known]
            graph["edges"] += other["edges"]
    _write(as_json(graph) + "\n" if form == "json" else _dot(graph), form, output)


def _print_tree(found: Lineage, start: list[str], direction: str, perhaps: bool) -> None:
    out = console()
    shown: set[str] = set()
    graph = found.sources if direction == "back" else found.results
    for one in start:
        title = "came of" if direction == "back" else "was made into"
        root = Tree(f"{_label(found.node(one))} [bold]{title}[/bold]")
        _grow(root, found, one, direction, shown)
        if not graph.get(one) and not root.children:
            root.add("[dim]nothing that is recorded[/dim]")
        out.print(root, soft_wrap=True)
    if direction == "back" and not perhaps:
        out.print("[dim]Files that were merely read before are left out; --all shows them.[/dim]")


def _grow(tree: Tree, found: Lineage, one: str, direction: str, shown: set[str]) -> None:
    """Add what an entity came of, or was made into; what stands elsewhere is named only."""
    if one in shown:
        if found.sources.get(one) if direction == "back" else found.results.get(one):
            tree.add("[dim]as above[/dim]")
        return
    shown.add(one)
    steps = found.sources[one] if direction == "back" else found.results[one]
    for other, row in sorted(steps.items(), key=lambda item: item[0]):
        node = found.node(other)
        if _is_between(found, node) or _is_same_file(found, one, node, row):
            _grow(tree, found, other, direction, shown)
            continue
        if direction == "back":
            node = _as_written(found, node)
        how = KNOWN.get(row["confidence"])
        branch = tree.add(_label(node) + (f" [dim]({how})[/dim]" if how else ""))
        _grow(branch, found, other, direction, shown)
    if direction == "forward":
        for use in found.uses(one):
            tree.add(f"[dim]{escape(_program(found.activity(use['id'])))}[/dim]")


def _is_between(found: Lineage, node: Row) -> bool:
    """Whether a model's state says no more than that it was compiled."""
    made = node["made_by"]
    return node["kind"] == "model" and (made is None or made["kind"] in ("compile", "program"))


def _is_same_file(found: Lineage, one: str, node: Row, row: Row) -> bool:
    """Whether a step leads from a file that was read to where it was written, or back."""
    if row["confidence"] != "same_content":
        return False
    return bool(found.node(one)["path"] == node["path"])


def _as_written(found: Lineage, node: Row) -> Row:
    """A file that was read where it was written stands for both."""
    for other, row in found.sources[node["id"]].items():
        if _is_same_file(found, node["id"], found.node(other), row):
            return {**node, "made_by": found.node(other)["made_by"]}
    return node


def _label(node: Row) -> str:
    """An entity in one line."""
    made = node["made_by"]
    by = f" [dim]{escape(_program(made))}[/dim]" if made else ""
    if node["kind"] in ("file", "files"):
        digest = node["sha256"] or node["partial_sha256"]
        many = f", {node['files']} files" if node["files"] is not None else ""
        known = f" [dim]{digest[:12]}[/dim]" if digest else ""
        path = os.path.relpath(node["path"]) if _is_near(node["path"]) else node["path"]
        return f"[cyan]{escape(path)}[/cyan]{many}{known}{by}"
    if node["kind"] == "dataset":
        name = (node["name"] or "data").replace("_", " ")
        return f"{name}, {short(node['samples'])} samples{by if name == 'made' else ''}"
    if made and "run" in made:
        settings = ", ".join(
            f"{name} {short(made[key])}"
            for name, key in (
                ("", "optimizer"), ("learning rate", "learning_rate"), ("batch", "batch_size"),
                ("epochs", "epochs_finished"),
            )
            if made[key] is not None
        ).strip()  # fmt: skip
        return f"[green]run {made['run']} {escape(str(made['name']))}[/green]: {settings}{by}"
    return f"model {escape(str(node['name'] or ''))}{by}"


def _is_near(path: str) -> bool:
    return path.startswith(os.path.join(os.getcwd(), ""))


def _program(made: Row | None) -> str:
    """An activity and its program."""
    if made is None:
        return ""
    program = made["program"]
    script = os.path.basename(program["script"] or program["label"] or "")
    commit = f" at {program['git_commit'][:8]}" if program["git_commit"] else ""
    changed = "+" if program["git_dirty"] else ""
    kind = made.get("name") if made["kind"] == "step" else made["kind"].replace("_", " ")
    return f"{'' if made['kind'] == 'program' else f'{kind} in '}{script}{commit}{changed}"


def _dot(graph: dict[str, Any]) -> str:
    """The graph in Graphviz's language, in W3C PROV's colours: from a thing to its source."""
    lines = ["digraph lineage {", '  rankdir="RL"; node [style=filled fontname="sans-serif"];']
    for node in graph["nodes"]:
        label = node["name"] or node["kind"]
        if node["kind"] == "files":
            label = f"{label}\n{node['files']} files"
        made = node["made_by"]
        if node["kind"] == "model" and made and "run" in made:
            label = f"{label}\nrun {made['run']} {made['name']}"
        lines.append(f'  {_quoted(node["id"])} [label={_quoted(label)} fillcolor="#FFFC87"];')
    for edge in graph["edges"]:
        how = KNOWN.get(edge["confidence"], "")
        lines.append(
            f"  {_quoted(edge['from'])} -> {_quoted(edge['to'])} [label={_quoted(how)} fontsize=9];"
        )
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _write(text: str, form: str, output: str | None) -> None:
    content = text.encode()
    if form in ("svg", "png"):
        program = shutil.which("dot")
        if program is None:
            raise KerasProvError(
                f"--format {form} needs Graphviz's `dot` (apt install graphviz); "
                "--format dot works without"
            )
        content = subprocess.run(
            [program, f"-T{form}"], input=content, stdout=subprocess.PIPE, check=True
        ).stdout
    with click.open_file(output or "-", "wb") as stream:
        stream.write(content)


COMMANDS = (lineage,)
