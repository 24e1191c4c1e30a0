"""A graph that is drawn: what is alike in it becomes one node that says how many it stands for."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from kerasprov_agent.read.record import Row

FOLD = 4
"""So many nodes or more that are alike become one. Files of one content are one from two on."""
DOUBTS = {"content_match": 1, "same_content": 1, "declared": 2, "read_before": 3}
"""How unsure an edge is; all others are what Keras or the program did."""
NUMBERS = re.compile(r"_?\d+")
"""Numbers in names, by which repeated things are told from each other."""
Edge = tuple[str, str, str]
"""From a node, to the node that it came of or used, and the kind as PROV names it."""


class Graph:
    """Nodes by their ids, and edges from what was made to what it came of."""

    def __init__(self) -> None:
        self.nodes: dict[str, Row] = {}
        self.edges: dict[Edge, Row] = {}
        self._instead: dict[str, str] = {}

    def connect(self, start: str, end: str, kind: str, confidence: str | None) -> None:
        """Add an edge; of two that say the same, the less sure one counts."""
        edge = {"from": start, "to": end, "kind": kind, "confidence": confidence}
        known = self.edges.setdefault((start, end, kind), edge)
        if DOUBTS.get(confidence or "", 0) > DOUBTS.get(known["confidence"] or "", 0):
            known["confidence"] = confidence

    def standing_for(self, node_id: str) -> str:
        """The id of the node that stands for this one, or its own."""
        while node_id in self._instead:
            node_id = self._instead[node_id]
        return node_id

    def fold(self, start: set[str], unfolded: set[str]) -> None:
        """Make one node of those that are alike, but for `start` and those of the given ids.

        Alike are files of the same content; runs of one script that used and led to the same
        kinds of things, with these; and many files that one node alone leads to.
        """
        self._fold_twins(start, unfolded)
        self._fold_repeated({self.standing_for(node_id) for node_id in start}, unfolded)
        self._fold_files({self.standing_for(node_id) for node_id in start}, unfolded)

    def _fold_twins(self, start: set[str], unfolded: set[str]) -> None:
        """Files of the same content, of which each program tells, become one."""
        first: dict[str, str] = {}

        def root(node_id: str) -> str:
            while first.get(node_id, node_id) != node_id:
                node_id = first[node_id]
            return node_id

        for one, other, kind in self.edges:
            if kind == "alternateOf":
                first[root(one)] = root(other)
        twins: dict[str, list[str]] = defaultdict(list)
        for node_id in self.nodes:
            twins[root(node_id)].append(node_id)
        for members in twins.values():
            shown = next((node_id for node_id in members if node_id in start), members[0])
            if len(members) < 2 or shown in unfolded:
                continue
            label = self.nodes[shown]["label"]
            paths = {self.nodes[member]["details"].get("path") for member in members}
            told = "times, the same content" if len(paths) == 1 else "files of this content"
            self._merge(
                shown,
                members,
                label=f"{label}\n{len(members)} {told}",
                details={**self.nodes[shown]["details"], "same content": len(members)},
                raw=any(self.nodes[member]["raw"] for member in members),
            )

    def _fold_repeated(self, start: set[str], unfolded: set[str]) -> None:
        alike: dict[Any, list[str]] = defaultdict(list)
        for node_id, likeness in self._likenesses(start).items():
            alike[likeness].append(node_id)
        for members in alike.values():
            folded_id = f"fold:{members[0]}"
            if len(members) < FOLD or folded_id in unfolded:
                continue
            node = self.nodes[members[0]]
            program = node.get("program")
            what = f"{node['kind']}\n{os.path.basename(program)}" if program else node["label"]
            self._merge(
                folded_id,
                members,
                label=f"{len(members)} × {what}",
                details={"number": len(members)},
            )

    def _likenesses(self, start: set[str]) -> dict[str, Any]:
        """By id: what a node is, what it came of, and what came of it."""
        sources: dict[str, list[tuple[str, str]]] = defaultdict(list)
        results: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for one, other, kind in self.edges:
            sources[one].append((kind, other))
            results[other].append((kind, one))
        behind = self._reached(start, sources)
        kinds = {
            node_id: (self._kind_of(node_id, start), node_id in behind) for node_id in self.nodes
        }
        by_sources = self._of_neighbours(kinds, sources, results)
        by_results = self._of_neighbours(kinds, results, sources)
        return {node_id: (by_sources[node_id], by_results[node_id]) for node_id in self.nodes}

    @staticmethod
    def _of_neighbours(
        kinds: dict[str, Any],
        towards: dict[str, list[tuple[str, str]]],
        away: dict[str, list[tuple[str, str]]],
    ) -> dict[str, Any]:
        """Number alike what is of one kind and has like neighbours on one side, to the very end.

        A node in a circle, whose neighbours are never all known, is only like itself.
        """
        missing = {node_id: len(towards[node_id]) for node_id in kinds}
        numbers: dict[Any, int] = {}
        likenesses: dict[str, Any] = dict.fromkeys(kinds)
        waiting = [node_id for node_id, count in missing.items() if not count]
        while waiting:
            node_id = waiting.pop()
            beside = frozenset((kind, likenesses[other]) for kind, other in towards[node_id])
            key = (kinds[node_id], beside)
            likenesses[node_id] = numbers.setdefault(key, len(numbers))
            for _, other in away[node_id]:
                missing[other] -= 1
                if not missing[other]:
                    waiting.append(other)
        return {
            node_id: node_id if likeness is None else likeness
            for node_id, likeness in likenesses.items()
        }

    def _kind_of(self, node_id: str, start: set[str]) -> Any:
        node = self.nodes[node_id]
        if node_id in start:
            return node_id
        name = NUMBERS.sub("", node["label"])
        if node["type"] == "activity":
            # Runs of one script have names and settings of their own, and are alike all the same.
            return (node["kind"], node["program"], None if node["run"] else name)
        return (node["kind"], name)

    @staticmethod
    def _reached(start: Iterable[str], sources: dict[str, list[tuple[str, str]]]) -> set[str]:
        reached, waiting = set(start), list(start)
        while waiting:
            for _, other in sources.get(waiting.pop(), ()):
                if other not in reached:
                    reached.add(other)
                    waiting.append(other)
        return reached

    def _fold_files(self, start: set[str], unfolded: set[str]) -> None:
        """Many files that one node alone leads to become one."""
        ends = Counter(end for edge in self.edges for end in edge[:2])
        groups: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
        for one, other, kind in self.edges:
            for node_id, leads, is_start in ((one, other, True), (other, one, False)):
                node = self.nodes[node_id]
                is_leaf = node["kind"] == "file" and ends[node_id] == 1 and not node["hidden"]
                if is_leaf and node_id not in start:
                    groups[leads, kind, is_start].append(node_id)
        for members in groups.values():
            folded_id = f"fold:{members[0]}"
            if len(members) < FOLD or folded_id in unfolded:
                continue
            self._merge(
                folded_id,
                members,
                label=f"{len(members)} files\n{self.nodes[members[0]]['label']} …",
                details={"files": len(members)},
                kind="files",
            )

    def _merge(self, folded_id: str, members: Sequence[str], **properties: Any) -> None:
        """Put one node in the place of several, with all their edges."""
        nodes = [self.nodes[member] for member in members]
        merged = {
            **nodes[0],
            "id": folded_id,
            "run": None,
            "hidden": sum(node["hidden"] for node in nodes),
            "opens": [entity_id for node in nodes for entity_id in node["opens"]],
            "raw": all(node["raw"] for node in nodes),
            "folded": sum(node["folded"] or 1 for node in nodes),
            "members": [member for node in nodes for member in _members(node)],
            **properties,
        }
        places = dict.fromkeys(members, folded_id)
        self._instead |= {member: folded_id for member in members if member != folded_id}
        self.nodes = {
            (folded_id if node_id == members[0] else node_id): (
                merged if node_id == members[0] else node
            )
            for node_id, node in self.nodes.items()
            if node_id == members[0] or node_id not in places
        }
        edges, self.edges = self.edges, {}
        for (one, other, kind), edge in edges.items():
            start, end = places.get(one, one), places.get(other, other)
            if start != end:
                self.connect(start, end, kind, edge["confidence"])


def _members(node: Row) -> list[Row]:
    if node["members"]:
        return list(node["members"])
    return [{"label": node["label"], "path": node["details"].get("path"), "run": node.get("run")}]
