"""A picture in Graphviz' language, in the colours and shapes of the W3C."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from kerasprov_agent.documents.picture.graph import Graph, Node
from kerasprov_agent.documents.statement import Statement
from kerasprov_agent.documents.vocabulary import namespaces
from kerasprov_agent.visible import visible, visible_lines

STYLES = {
    "entity": 'shape=ellipse, fillcolor="#FFFC87", color="#808080"',
    "activity": 'shape=box, fillcolor="#9FB1FC", color="#0000FF"',
    "agent": 'shape=house, fillcolor="#FED37F", color="#000000"',
}
COLOURS = {
    "used": "#8B0000",
    "wasGeneratedBy": "#006400",
    "wasAssociatedWith": "#B8860B",
    "plan": "#404040",
}
ROWS = 14
"""So many lines stand in a node at most."""


def text(statements: Iterable[Statement], detail: bool, base: str) -> str:
    """The picture of a document as DOT."""
    graph = Graph(statements, detail)
    places = namespaces(base)
    lines = [
        "digraph provenance {",
        '  graph [rankdir=BT, fontname="Helvetica", tooltip="provenance", ranksep=0.5]',
        '  node [style=filled, fontname="Helvetica", fontsize=10, margin="0.08,0.04"]',
        '  edge [fontname="Helvetica", fontsize=8, arrowsize=0.7]',
    ]
    lines += [f"  {quoted(node.id)} [{_node(node, places)}]" for node in graph.nodes.values()]
    for relation, start, end in graph.edges:
        colour = COLOURS.get(relation, "#404040")
        dashed = ", style=dashed" if relation == "plan" else ""
        said = f'label="{relation}", tooltip="{relation}", color="{colour}", fontcolor="{colour}"'
        lines.append(f"  {quoted(start)} -> {quoted(end)} [{said}{dashed}]")
    return "\n".join([*lines, "}\n"])


def _node(node: Node, places: dict[str, str]) -> str:
    style = STYLES[node.kind]
    if node.count > 1:
        style += ", peripheries=3"
    link = _link(node, places)
    target = f', URL={quoted(link)}, target="_blank"' if link else ""
    return f"label=<{_label(node)}>, {style}, tooltip={quoted(_tooltip(node))}{target}"


def _label(node: Node) -> str:
    title = node.label if len(node.label) <= 60 else f"{node.label[:59]}…"
    if node.count > 1:
        end = node.last.label
        title = f"{node.count} × {title}" if title == end else f"{node.count} × {title} … {end}"
    rows = node.rows[:ROWS]
    if len(node.rows) > ROWS:
        rows.append(("…", f"{len(node.rows) - ROWS} more"))
    if not rows:
        return _html(title)
    cells = "".join(
        f'<TR><TD ALIGN="LEFT">{_html(name)}</TD><TD ALIGN="LEFT">{_html(value)}</TD></TR>'
        for name, value in rows
    )
    return (
        '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">'
        f'<TR><TD COLSPAN="2"><B>{_html(title)}</B></TD></TR>{cells}</TABLE>'
    )


def _tooltip(node: Node) -> str:
    """All that is said of an element; of a stack, of its first."""
    lines = [node.id]
    for key, values in node.attributes.items():
        lines += [f"{key}: {str(value)[:200]}" for value in values[:20]]
    return "\n".join(lines)


def _link(node: Node, places: dict[str, str]) -> str | None:
    """Where there is more: a person, a package, a file; else what the type means."""
    for same in node.attributes.get("schema:sameAs", ()):
        return str(same)
    version = node.attributes.get("schema:softwareVersion")
    if version:
        package = node.label.rpartition(" ")[0]
        return f"https://pypi.org/project/{package}/{version[0]}/"
    location = str(node.attributes.get("prov:location", [""])[0])
    if location.startswith("/"):
        from urllib.request import pathname2url

        return f"file://{pathname2url(location)}"
    for type_name in node.types:
        prefix, _, name = type_name.partition(":")
        if prefix in places:
            return places[prefix] + name
    return None


def _html(text: str) -> str:
    return escape(visible(text), quote=False) or " "


def quoted(text: str) -> str:
    """A text as Graphviz' language quotes it."""
    escaped = visible_lines(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
