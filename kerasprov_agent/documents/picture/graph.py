"""A document as nodes and edges for a person to look at: what is alike is folded into a stack.

Left out is what says little in a picture: contents (a short hash in the node of their file),
members of settings (lines of their collection), the ids of relations, the document itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kerasprov_agent.documents.statement import Statement, Value
from kerasprov_agent.documents.vocabulary import Name

FOLD = 3
"""So many alike are shown one by one; more are a stack."""
ELEMENTS = ("entity", "activity", "agent")
EDGES = {
    "used": (0, 1), "wasGeneratedBy": (0, 1), "wasDerivedFrom": (0, 1), "wasInformedBy": (0, 1),
    "wasStartedBy": (0, 2), "wasAssociatedWith": (0, 1), "hadMember": (0, 1),
}  # fmt: skip
"""Relations that are drawn, and which of their formal attributes they connect."""


class Node:
    """An element, or a stack of elements that are alike."""

    def __init__(self, kind: str, id: str, attributes: dict[str, list[Value]]) -> None:
        self.kind, self.id, self.attributes = kind, id, attributes
        self.types = tuple(map(str, attributes.get("prov:type", ())))
        self.label = str(attributes.get("prov:label", [id])[0])
        self.rows: list[tuple[str, str]] = []
        self.last = self
        self.count = 1


class Graph:
    """Nodes by their ids, and edges (relation, from, to, text)."""

    def __init__(self, statements: Iterable[Statement], detail: bool = False) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str, str], str] = {}
        self._alias: dict[str, str] = {}
        self._relations: dict[str, list[tuple[str | None, ...]]] = {}
        for statement in statements:
            self._add(statement)
        self._shorten_labels()
        self._join_programs()
        self._tell_contents()
        self._take_in_members()
        self._leave_out()
        if not detail:
            self._fold()
        self._connect()

    def _add(self, statement: Statement) -> None:
        if statement.kind in ELEMENTS:
            attributes: dict[str, list[Value]] = {}
            for key, value in statement.attributes:
                attributes.setdefault(key, []).append(value)
            # A bundle states again what the document or another bundle has stated.
            node = Node(statement.kind, str(statement.id), attributes)
            if statement.kind == "activity":
                ends = zip(("from", "to"), statement.formal, strict=False)
                node.rows += [(word, _clock(time)) for word, time in ends if time]
            self.nodes.setdefault(node.id, node)
        else:
            self._relations.setdefault(statement.kind, []).append(statement.formal)

    def _shorten_labels(self) -> None:
        """Scripts, and programs by their command lines, are shown without the directories."""
        paths = {
            str(path)
            for node in self.nodes.values()
            for path in node.attributes.get("prov:location", ())
        }
        for node in self.nodes.values():
            label = node.label
            if label.startswith("/"):
                ends = [at for at, letter in enumerate(label) if letter == " "] + [len(label)]
                path = next((label[:end] for end in reversed(ends) if label[:end] in paths), "")
                node.label = label[path.rfind("/") + 1 :]

    def _join_programs(self) -> None:
        """A file that one program wrote and another read is one node, where it has one name."""
        files: dict[tuple[str, str], list[str]] = {}
        for name, content in self._pairs("specializationOf"):
            if name in self.nodes and "prov:Plan" not in self.nodes[name].types:
                files.setdefault((content, self.nodes[name].label), []).append(name)
        made = {entity for entity, _ in self._pairs("wasGeneratedBy")}
        for names in files.values():
            first = next((name for name in names if name in made), names[0])
            for name in names:
                if name.partition(":")[0] != first.partition(":")[0]:
                    self._alias[name] = first
                    self.nodes.pop(name, None)

    def _tell_contents(self) -> None:
        for name, content in self._pairs("specializationOf"):
            digest = str(content).rpartition("-")[2][:12]
            if name in self.nodes:
                self.nodes[name].rows.append(("sha256", f"{digest}…"))
            self.nodes.pop(content, None)

    def _take_in_members(self) -> None:
        """Settings become lines of their collection; of modules and cells it is said how many."""
        code: dict[str, int] = {}
        for whole, part in self._pairs("hadMember"):
            node, owner = self.nodes.get(part), self.nodes.get(whole)
            if node is None or owner is None:
                continue
            if "kp:Settings" in owner.types:
                value = node.attributes.get("mls:hasValue", [""])[0]
                owner.rows.append((str(node.attributes["kp:name"][0]), _short(value)))
            elif "prov:Plan" in owner.types:
                code[whole] = code.get(whole, 0) + 1
            else:
                continue
            self._alias[part] = whole
            del self.nodes[part]
        for whole, count in code.items():
            self.nodes[whole].rows.append(("modules and cells", str(count)))

    def _leave_out(self) -> None:
        """The document itself; and its recorder, unless it stands for the whole."""
        for node in list(self.nodes.values()):
            if "prov:Bundle" in node.types:
                del self.nodes[node.id]
            else:
                node.rows += _figures(node)
        linked = {agent for _, agent in self._pairs("wasAssociatedWith")}
        for node in list(self.nodes.values()):
            if node.kind == "agent" and node.id not in linked:
                del self.nodes[node.id]

    def _fold(self) -> None:
        """Activities alike within another become a stack; then what a stack made or used."""
        parents = {
            node.id: str(node.attributes.get("dcterms:isPartOf", [""])[0])
            for node in self.nodes.values()
            if node.kind == "activity"
        }
        waiting, known = dict(parents), set[str]()
        while waiting:
            ready = [node_id for node_id, parent in waiting.items() if parent not in waiting]
            for node_id in ready or list(waiting):
                waiting.pop(node_id)
            groups: dict[tuple[str, ...], list[str]] = {}
            for node_id in ready:
                key = (
                    self._shown(parents[node_id]),
                    *self.nodes[node_id].types,
                    _pattern(self.nodes[node_id]),
                )
                groups.setdefault(key, []).append(node_id)
            self._stack(groups)
            known.update(ready)
        makers = {entity: str(activity) for entity, activity in self._pairs("wasGeneratedBy")}
        users: dict[str, set[str]] = {}
        for activity, entity in self._pairs("used"):
            users.setdefault(entity, set()).add(self._shown(activity))
        groups = {}
        for node in self.nodes.values():
            if node.kind != "entity":
                continue
            maker = self._shown(makers.get(node.id, ""))
            by = (maker,) if maker else tuple(sorted(users.get(node.id, ())))
            if (
                any(self.nodes[node_id].count > 1 for node_id in by if node_id in self.nodes)
                or maker
            ):
                key = ("made" if maker else "used", *by, *node.types, _pattern(node))
                groups.setdefault(key, []).append(node.id)
        self._stack(groups)

    def _stack(self, groups: dict[tuple[str, ...], list[str]]) -> None:
        for ids in groups.values():
            if len(ids) <= FOLD:
                continue
            first, last = self.nodes[ids[0]], self.nodes[ids[-1]]
            first.count, first.last = len(ids), last
            first.rows = _together([self.nodes[node_id] for node_id in ids])
            for node_id in ids[1:]:
                self._alias[node_id] = first.id
                del self.nodes[node_id]

    def _connect(self) -> None:
        """The edges between what is left; an association is drawn once, at the top."""
        for relation, ends in EDGES.items():
            for formal in self._relations.get(relation, ()):
                start, end = (self._shown(str(formal[place])) for place in ends)
                if start == end or start not in self.nodes or end not in self.nodes:
                    continue
                if relation == "wasAssociatedWith":
                    if "dcterms:isPartOf" in self.nodes[start].attributes:
                        continue
                    plan = formal[2] and self._shown(str(formal[2]))
                    if plan in self.nodes:
                        self.edges["plan", start, str(plan)] = "plan"
                self.edges[relation, start, end] = relation
        for relation, start, end in list(self.edges):
            # What was used, or made from, needs no second line that says that it was started.
            if relation == "wasInformedBy" and self.nodes[start].count > 1:
                del self.edges[relation, start, end]

    def _pairs(self, relation: str) -> list[tuple[str, str]]:
        return [
            (str(formal[0]), str(formal[1]))
            for formal in self._relations.get(relation, ())
            if formal[1] is not None
        ]

    def _shown(self, id: str) -> str:
        while id in self._alias:
            id = self._alias[id]
        return id


COURSE = frozenset(("mls:ModelEvaluation", "kp:Epoch"))
"""What comes one after the other, so that a number of it becomes another."""
VALUES_SHOWN = 4


def _pattern(node: Node) -> str:
    """A label without its numbers; of a file its ending."""
    if "kp:File" in node.types:
        return node.label.rpartition(".")[2]
    return re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "#", node.label)


def _figures(node: Node) -> list[tuple[str, str]]:
    """What the node of an element says of it, besides its label."""
    wanted = {
        "kp:status": "status", "kp:exceptionType": "exception", "kp:learningRate": "learning rate",
        "kp:samples": "samples", "kp:array": "", "kp:files": "files", "kp:parameters": "parameters",
        "kp:score": "score", "kp:gpu": "GPU", "kp:gitCommit": "git commit",
    }  # fmt: skip
    figures = []
    for key, values in node.attributes.items():
        name = key.partition(":")[2] if key.startswith("metric:") else wanted.get(key)
        if name is None or values == ["finished"]:
            continue
        for value in values[:4]:
            left, colon, right = str(value).partition(": ")
            text = _short(value) if name != "git commit" else str(value)[:10]
            figures.append((left, right) if not name and colon else (name, text))
    return figures


def _together(stack: list[Node]) -> list[tuple[str, str]]:
    """The lines of a stack: of epochs from the first to the last, of what else the values.

    An arrow says that something became something else; alternatives are listed.
    """
    first, last = stack[0], stack[-1]
    ends = dict(last.rows)
    rows = []
    for name, value in first.rows:
        end = ends.get(name, value)
        if first.kind == "activity" and name in ("from", "to"):
            rows.append((name, value if name == "from" else end))
        elif COURSE & set(first.types):
            rows.append((name, value if value == end else f"{value} → {end}"))
        elif name != "sha256":
            values = list(dict.fromkeys(dict(node.rows).get(name, "") for node in stack))
            more = ", …" if len(values) > VALUES_SHOWN else ""
            rows.append((name, ", ".join(filter(None, values[:VALUES_SHOWN])) + more))
    return rows


def _short(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:39]}…"


def _clock(time: str) -> str:
    """The time of day in UTC, to the second."""
    return Name(time[11:19])
