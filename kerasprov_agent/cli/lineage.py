"""`kerasprov lineage`: what a model came of, and what was made of a file."""

from __future__ import annotations

import os
import sys
from typing import Any

import click
from rich.text import Text
from rich.tree import Tree

from kerasprov_agent.cli import database_option
from kerasprov_agent.cli.screen import console, say
from kerasprov_agent.cli.tables import as_json
from kerasprov_agent.documents.picture import graphviz
from kerasprov_agent.documents.picture.dot import quoted
from kerasprov_agent.read.lineage import HOW_KNOWN, Lineage
from kerasprov_agent.read.record import Row, open_record
from kerasprov_agent.read.wording import short
from kerasprov_agent.replacing import replaced
from kerasprov_agent.visible import visible

FORMATS = ("tree", "json", "dot", "svg", "png")


@click.command()
@click.argument("what", metavar="PATH|RUN|HASH", default="last")
@database_option
@click.option("--back", "only", flag_value="back", help="Show only what it came from.")
@click.option("--forward", "only", flag_value="forward", help="Show only what was made from it.")
@click.option("--files", is_flag=True, help="List the raw files that it came from, one per line.")
@click.option(
    "--all", "perhaps", is_flag=True, help="Show also files that the program only read before."
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="tree", show_default=True,
    help="dot is Graphviz's language; svg and png need its program.",
)  # fmt: skip
@click.option("-o", "--output", metavar="FILE", help="Write to FILE, not to the terminal.")
def lineage(
    what: str, db: str, only: str | None, files: bool, perhaps: bool, form: str, output: str | None
) -> None:
    """Trace a model, file or run back to its raw data, and forward to all that was made from it.

    Files are found by their content: they may have been moved, renamed or copied.
    """
    with open_record(db) as record:
        lineage_graph = Lineage(record, perhaps)
        start = lineage_graph.find(what)
        if files:
            say("\n".join(map(visible, lineage_graph.files(lineage_graph.reach(start, "back")))))
            return
        directions = [only] if only else ["back", "forward"]
        if form == "tree":
            for direction in directions:
                _print_tree(lineage_graph, start, direction, perhaps)
            return
        graphs = [lineage_graph.as_graph(start, direction) for direction in directions]
        graph = {**graphs[0], "direction": only or "both"}
        for other in graphs[1:]:
            known = {node["id"] for node in graph["nodes"]}
            graph["nodes"] += [node for node in other["nodes"] if node["id"] not in known]
            graph["edges"] += other["edges"]
    _write(as_json(graph) + "\n" if form == "json" else _dot(graph), form, output)


def _print_tree(graph: Lineage, start: list[str], direction: str, perhaps: bool) -> None:
    out = console()
    shown: set[str] = set()
    trees = []
    for entity_id in start:
        title = "came from" if direction == "back" else "was made into"
        root = Tree(Text.assemble(_label(graph.node(entity_id)), " ", (title, "bold")))
        _grow(root, graph, entity_id, direction, shown)
        trees.append(root)
    for root in [tree for tree in trees if tree.children] or trees[:1]:
        if not root.children:
            root.add(Text("nothing that is recorded", "dim"))
        out.print(root, soft_wrap=True)
    if direction == "back" and not perhaps and graph.leaves_out(shown):
        out.print("[dim]Files that were only read before are left out; --all shows them.[/dim]")


def _grow(root: Tree, graph: Lineage, start: str, direction: str, shown: set[str]) -> None:
    """Add what an entity came of, or was made into; what stands elsewhere is named only.

    Without recursion: a model that was trained on a thousand times has as many generations.
    """
    waiting: list[tuple[Tree, str, str | None]] = []

    def visit(tree: Tree, entity_id: str) -> None:
        steps = graph.steps(entity_id, direction)
        if entity_id in shown:
            if steps:
                tree.add(Text("as above", "dim"))
            return
        shown.add(entity_id)
        if direction == "forward":
            waiting.append((tree, entity_id, None))  # at last: what used it and made nothing
        waiting.extend((tree, entity_id, other) for other in sorted(steps, reverse=True))

    visit(root, start)
    while waiting:
        tree, entity_id, other = waiting.pop()
        if other is None:
            for use in graph.uses(entity_id):
                tree.add(Text(_program(graph.activity(use["id"])), "dim"))
            continue
        node, row = graph.node(other), graph.steps(entity_id, direction)[other]
        if _is_between(graph, node) or _is_same_file(graph, entity_id, node, row):
            visit(tree, other)
            continue
        how = HOW_KNOWN.get(row["confidence"])
        label = _label(_as_written(graph, node) if direction == "back" else node)
        if how:
            label.append(f" ({how})", "dim")
        visit(tree.add(label), other)


def _is_between(graph: Lineage, node: Row) -> bool:
    """Whether a model's state says no more than that it was compiled."""
    made = node["made_by"]
    return node["kind"] == "model" and (made is None or made["kind"] in ("compile", "program"))


def _is_same_file(graph: Lineage, entity_id: str, node: Row, row: Row) -> bool:
    """Whether a step leads from a file that was read to where it was written, or back."""
    if row["confidence"] != "same_content":
        return False
    return bool(graph.node(entity_id)["path"] == node["path"])


def _as_written(graph: Lineage, node: Row) -> Row:
    """A file that was read where it was written stands for both."""
    for other, row in graph.steps(node["id"], "back").items():
        if _is_same_file(graph, node["id"], graph.node(other), row):
            return {**node, "made_by": graph.node(other)["made_by"]}
    return node


def _label(node: Row) -> Text:
    """An entity in one line."""
    made = node["made_by"]
    by = (f" {_program(made)}" if made else "", "dim")
    if node["kind"] in ("file", "files"):
        digest = node["sha256"] or node["partial_sha256"]
        many = f", {node['files']} files" if node["files"] is not None else ""
        path = os.path.relpath(node["path"]) if _is_near(node["path"]) else node["path"]
        known = (f" {digest[:12]}" if digest else "", "dim")
        return Text.assemble((visible(path), "cyan"), many, known, by)
    if node["kind"] == "dataset":
        name = visible(node["name"] or "data").replace("_", " ")
        samples = node["samples"]
        label = name if samples is None else f"{name}, {short(samples)} samples"
        return Text.assemble(label, by if name == "made" else "")
    if made and "run" in made:
        settings = ", ".join(
            f"{name} {visible(short(made[key]))}"
            for name, key in (
                ("", "optimizer"), ("learning rate", "learning_rate"), ("batch", "batch_size"),
                ("epochs", "epochs_finished"),
            )
            if made[key] is not None
        ).strip()  # fmt: skip
        run = (visible(f"run {made['run']} {made['name']}"), "green")
        return Text.assemble(run, f": {settings}", by)
    return Text.assemble(f"model {visible(str(node['name'] or ''))}", by)


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
    return visible(f"{'' if made['kind'] == 'program' else f'{kind} in '}{script}{commit}{changed}")


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
        lines.append(f'  {quoted(node["id"])} [label={quoted(label)} fillcolor="#FFFC87"];')
    for edge in graph["edges"]:
        how = HOW_KNOWN.get(edge["confidence"], "")
        lines.append(
            f"  {quoted(edge['from'])} -> {quoted(edge['to'])} [label={quoted(how)} fontsize=9];"
        )
    return "\n".join([*lines, "}", ""])


def _write(text: str, form: str, output: str | None) -> None:
    content = graphviz.render(text, form) if form in ("svg", "png") else text.encode()
    if output is None:
        sys.stdout.buffer.write(content)
        return
    with replaced(output) as beside, open(beside, "wb") as stream:
        stream.write(content)


COMMANDS = (lineage,)
