"""Where a model, a file or a run came from, and what was made of it: a graph to be drawn."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

from kerasprov_agent.read.lineage import Lineage
from kerasprov_agent.read.record import Record, Row
from kerasprov_agent.viewer.pages.folding import Graph
from kerasprov_agent.viewer.pages.values import plain

NODES = 200
"""More are not drawn at once."""
ENTITIES = 1000
"""So many files, data sets and models are looked at, before those that are alike become one."""


def lineage(
    record: Record,
    of: str = "last",
    hops: int = 2,
    opened: str = "",
    unfolded: str = "",
    perhaps: bool = False,
) -> dict[str, Any]:
    """The lineage around an entity, as PROV draws it; what is alike is one node with its number.

    of: a path, a run or a hash; hops: how many steps each way; opened: ids of entities, separated
    by spaces, from which one step more is shown; unfolded: ids of nodes that stand for several,
    whose members are shown each by itself; perhaps: also what was only read before. Returns
    `start`, `nodes` (`id`, `type` entity or activity, `label`, `details`, `hidden`: how many
    neighbours are not shown, `opens`: the ids to open for them, `folded`: for how many it stands
    (null: for itself alone), `members`: these, `raw`: whether it came of nothing), `edges` (`from`,
    `to`, `kind` as in PROV, `confidence`), `total` (how many entities the whole graph has) and
    `shown`. Raises `UnknownRun`.
    """
    lineage_graph = Lineage(record, perhaps)
    start = lineage_graph.find(of)
    entities = _around(lineage_graph, start, hops, set(opened.split()))
    kept = set(unfolded.split())
    drawn = _drawn(lineage_graph, entities, start, kept)
    while len(drawn.nodes) > NODES and len(entities) > len(start) + 1:
        most = max(len(entities) * NODES // len(drawn.nodes), len(start) + 1)
        entities = dict.fromkeys(islice(entities, min(most, len(entities) - 1)))
        drawn = _drawn(lineage_graph, entities, start, kept)
    whole = {*lineage_graph.reach(start, "back"), *lineage_graph.reach(start, "forward")}
    return {
        "start": [drawn.standing_for(entity_id) for entity_id in start],
        "nodes": [plain(node) for node in drawn.nodes.values()],
        "edges": [plain(edge) for edge in drawn.edges.values()],
        "total": len(whole),
        "shown": len(entities),
    }


def _drawn(
    graph: Lineage, entities: dict[str, None], start: Iterable[str], unfolded: set[str]
) -> Graph:
    drawn = Graph()
    for entity_id in entities:
        drawn.nodes[entity_id] = _entity(graph, entity_id, entities)
    for entity_id in entities:
        for source_id, row in graph.steps(entity_id, "back").items():
            if source_id in entities:
                _connect(graph, drawn, entity_id, source_id, row)
        made_by = graph.node(entity_id)["made_by"]
        if made_by and made_by["kind"] != "program" and made_by["id"] not in drawn.nodes:
            _activity(drawn, made_by)
            drawn.connect(entity_id, made_by["id"], "wasGeneratedBy", None)
    drawn.fold(set(start), unfolded)
    return drawn


def _around(graph: Lineage, start: list[str], hops: int, opened: set[str]) -> dict[str, None]:
    """The entities within some steps of those given, the nearest first."""
    reached = dict.fromkeys(start)
    waiting = deque((entity_id, way, 0) for entity_id in start for way in ("back", "forward"))
    while waiting and len(reached) < ENTITIES:
        entity_id, direction, steps = waiting.popleft()
        if steps >= hops and entity_id not in opened:
            continue
        ways = ("back", "forward") if entity_id in opened else (direction,)
        for way in ways:
            for other, row in graph.steps(entity_id, way).items():
                if other in reached or len(reached) >= ENTITIES:
                    continue
                reached[other] = None
                if row["confidence"] == "same_content":  # the same thing: no step away from it
                    waiting.appendleft((other, way, steps))
                else:
                    waiting.append((other, way, steps + 1))
    return reached


def _entity(graph: Lineage, entity_id: str, shown: dict[str, None]) -> Row:
    node = graph.node(entity_id)
    sources = graph.steps(entity_id, "back")
    others = [*sources, *graph.steps(entity_id, "forward")]
    hidden = sum(other not in shown for other in dict.fromkeys(others))
    is_file = node["kind"] in ("file", "files")
    return {
        "id": entity_id,
        "type": "entity",
        "kind": node["kind"],
        "label": _label(node),
        "run": None,
        "hidden": hidden,
        "opens": [entity_id] if hidden else [],
        "folded": None,
        "members": [],
        "raw": is_file and not sources,
        "details": {
            name: value
            for name, value in node.items()
            if value is not None and name not in ("id", "made_by")
        },
    }


def _label(node: Row) -> str:
    if node.get("path"):
        name = os.path.basename(str(node["path"])) or str(node["path"])
        return f"{name} ({node['files']} files)" if node.get("files") else name
    if node["kind"] == "dataset" and node.get("samples") is not None:
        return f"{node['name'] or 'data'}, {node['samples']} samples"
    return str(node["name"] or node.get("class_name") or node["kind"])


def _activity(drawn: Graph, activity: Row) -> None:
    program = activity["program"]
    script = os.path.basename(program["script"] or program["label"] or "")
    name = activity.get("name") or activity["kind"]
    if activity.get("run") is not None:
        name = f"{activity['kind']}: {activity['name']}"
    drawn.nodes[activity["id"]] = {
        "id": activity["id"],
        "type": "activity",
        "kind": activity["kind"],
        "label": f"{name}\n{script}" if script else name,
        "program": program["script"] or program["label"],
        "run": activity.get("run"),
        "hidden": 0,
        "opens": [],
        "folded": None,
        "members": [],
        "raw": False,
        "details": {
            **{k: v for k, v in activity.items() if k not in ("id", "program") and v is not None},
            **{k: v for k, v in program.items() if v is not None},
        },
    }


def _connect(graph: Lineage, drawn: Graph, entity_id: str, source_id: str, row: Row) -> None:
    """One derivation: through the activity that made it, if it is known, as PROV draws it."""
    activity_id, confidence = row["activity_id"], row["confidence"]
    if activity_id is None:
        kind = "alternateOf" if confidence == "same_content" else "wasDerivedFrom"
        drawn.connect(entity_id, source_id, kind, confidence)
        return
    if activity_id not in drawn.nodes:
        activity = graph.activity(activity_id)
        if activity is not None:
            _activity(drawn, activity)
    drawn.connect(entity_id, activity_id, "wasGeneratedBy", confidence)
    drawn.connect(activity_id, source_id, "used", confidence)
