"""A Process Run RO-Crate: what ran, with what, from and to which files, as schema.org JSON-LD.

https://www.researchobject.org/workflow-run-crate/profiles/process_run_crate/. The crate holds the
PROV-JSON document, the code, and a card of the data; data and models stay where they are and are
named by their URI.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import IO, Any
from urllib.request import pathname2url

from kerasprov_agent import clock
from kerasprov_agent.documents import prov_json
from kerasprov_agent.documents.document import Document
from kerasprov_agent.documents.statement import Statement, Value
from kerasprov_agent.evidence import croissant
from kerasprov_agent.read.materials import Materials
from kerasprov_agent.read.origin import Several
from kerasprov_agent.read.record import Record

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
LICENSE = "https://choosealicense.com/no-permission/"
STATUS = {
    "finished": "CompletedActionStatus", "failed": "FailedActionStatus",
    "running": "ActiveActionStatus",
}  # fmt: skip
BLANKED = """
    SELECT script_original_sha256, script_sha256 FROM execution
    WHERE script_original_sha256 IS NOT NULL
"""
"""Scripts in whose texts secrets are blanked out: the crate holds them so, with another hash."""
ACTIONS = ("kp:Fit", "kp:TrainingLoop", "kp:ScriptExecution", "kp:Evaluate", "kp:Step")

Entity = dict[str, Any]


class _Facts:
    """The statements by their ids, and who used and made what."""

    def __init__(self, statements: Iterable[Statement], blanked: Mapping[str, str]) -> None:
        self.blanked = blanked
        self.elements: dict[str, tuple[Statement, dict[str, list[Value]]]] = {}
        self.used: dict[str, list[str]] = {}
        self.made: dict[str, list[str]] = {}
        self.agents: dict[str, list[tuple[str, str | None]]] = {}
        self.hashes: dict[str, str] = {}
        self.sources: dict[str, list[str]] = {}
        self.parts: dict[str, list[str]] = {}
        for statement in statements:
            formal = [str(value) if value is not None else "" for value in statement.formal]
            if statement.kind in ("entity", "activity", "agent"):
                attributes: dict[str, list[Value]] = {}
                for key, value in statement.attributes:
                    attributes.setdefault(key, []).append(value)
                self.elements[str(statement.id)] = statement, attributes
                for whole in attributes.get("dcterms:isPartOf", ()):
                    self.parts.setdefault(str(whole), []).append(str(statement.id))
            elif statement.kind == "used":
                self.used.setdefault(formal[0], []).append(formal[1])
            elif statement.kind == "wasGeneratedBy":
                self.made.setdefault(formal[1], []).append(formal[0])
            elif statement.kind == "wasAssociatedWith":
                self.agents.setdefault(formal[0], []).append((formal[1], formal[2] or None))
            elif statement.kind == "specializationOf":
                self.hashes[formal[0]] = formal[1].rpartition("-")[2]
            elif statement.kind == "wasDerivedFrom":
                self.sources.setdefault(formal[0], []).append(formal[1])

    def types(self, name: str) -> list[str]:
        return [str(type_name) for type_name in self.elements[name][1].get("prov:type", ())]

    def within(self, name: str) -> list[str]:
        """An activity and those that are part of it; what they used and made, it has."""
        names = [name]
        for member in names:
            names += self.parts.get(member, ())
        return names

    def files(self, names: Iterable[str]) -> list[str]:
        """The files among these."""
        kinds = {"kp:File", "kp:FileSet"}
        return [file for file in dict.fromkeys(names) if kinds & set(self.types(file))]

    def files_behind(self, names: Iterable[str]) -> list[str]:
        """The files among these, and those that data sets among them came from."""
        files = [file for file in dict.fromkeys(names) if file in self.elements]
        for file in files:
            if "kp:InMemoryDataset" in self.types(file):
                files += [source for source in self.sources.get(file, ()) if source not in files]
        return self.files(files)


def write(document: Document, statements: Iterable[Statement], stream: IO[bytes]) -> None:
    """Write a zipped crate."""
    kept = list(statements)
    prov = io.BytesIO()
    prov_json.write(kept, prov)
    code: dict[str, str] = {}
    data = _data(document)
    facts = _Facts(kept, dict(map(tuple, document.connection.execute(BLANKED))))
    metadata = json.dumps(_metadata(facts, code, bool(data)), indent=1, ensure_ascii=False)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ro-crate-metadata.json", metadata)
        archive.writestr("prov.json", prov.getvalue())
        if data:
            archive.writestr("croissant.json", json.dumps(data, indent=1, ensure_ascii=False))
        for path, sha256 in code.items():
            query = "SELECT zlib FROM source WHERE sha256 = ?"
            row = document.connection.execute(query, (sha256,)).fetchone()
            archive.writestr(path, zlib.decompress(row[0]))


def _data(document: Document) -> Entity | None:
    """The card of the data that the runs of a document came of; None: no file is known."""
    record = Record(document.connection)
    runs = record.query("SELECT id, execution_id FROM run ORDER BY number")
    wanted = dict(document.parts)
    chosen = [
        row["id"]
        for row in runs
        if row["execution_id"] in wanted
        and (
            wanted[row["execution_id"]] is None or row["id"] in (wanted[row["execution_id"]] or ())
        )
    ]
    materials = Materials(Several(record, chosen))
    return croissant.written(materials) if materials.data() else None


def _metadata(facts: _Facts, code: dict[str, str], has_data: bool) -> Entity:
    """The metadata of a crate; `code` gets the sha256 of each source by its path in the crate."""
    graph: dict[str, Entity] = {}
    actions = []
    for name, (statement, attributes) in facts.elements.items():
        if statement.kind == "activity" and set(facts.types(name)) & set(ACTIONS):
            actions.append(_action(facts, graph, code, name, statement, attributes))
    graph["prov.json"] = {
        "@id": "prov.json", "@type": "File", "name": "The same as W3C PROV",
        "encodingFormat": "application/json",
    }  # fmt: skip
    if has_data:
        graph["croissant.json"] = {
            "@id": "croissant.json", "@type": "File", "name": "The data, as a card of Croissant",
            "encodingFormat": "application/ld+json", "conformsTo": {"@id": croissant.PROFILE},
        }  # fmt: skip
    parts = [
        {"@id": entity["@id"]}
        for entity in graph.values()
        if entity["@type"] in ("File", ["File", "SoftwareSourceCode"], "Dataset")
    ]
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": "Provenance of Keras trainings",
        "description": "What was recorded by kerasprov_agent: " + ", ".join(
            str(entity["name"]) for entity in actions[:10]
        ),
        "datePublished": clock.stamp(),
        "license": {"@id": LICENSE},
        "conformsTo": {"@id": PROFILE},
        "hasPart": parts,
        "mentions": [{"@id": entity["@id"]} for entity in actions],
    }  # fmt: skip
    descriptor = {
        "@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }  # fmt: skip
    named = [
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {"@id": LICENSE, "@type": "CreativeWork", "name": "No license stated",
         "description": "The crate tells nothing of who may use what it names."},
    ]  # fmt: skip
    return {"@context": CONTEXT, "@graph": [descriptor, root, *named, *graph.values(), *actions]}


def _action(
    facts: _Facts,
    graph: dict[str, Entity],
    code: dict[str, str],
    name: str,
    statement: Statement,
    attributes: dict[str, list[Value]],
) -> Entity:
    """An activity as what schema.org calls an action."""
    started, ended = statement.formal
    status = str(attributes.get("kp:status", ["finished"])[0])
    action: Entity = {
        "@id": f"#{name.replace(':', '-')}",
        "@type": "CreateAction",
        "name": str(attributes["prov:label"][0]),
        "startTime": started,
        "endTime": ended,
        "actionStatus": {"@id": f"http://schema.org/{STATUS.get(status, 'FailedActionStatus')}"},
    }
    if "kp:exception" in attributes:
        action["error"] = str(attributes["kp:exception"][0])
    people: list[Entity] = []
    instruments: list[Entity] = []
    for agent, plan in facts.agents.get(name, ()):
        entity = _agent(facts, agent)
        graph[entity["@id"]] = entity
        (people if entity["@type"] == "Person" else instruments).append({"@id": entity["@id"]})
        if plan:
            source = _code(facts, code, plan)
            graph[source["@id"]] = source
            instruments.insert(0, {"@id": source["@id"]})
    if people:
        action["agent"] = people[0]
    if instruments:
        action["instrument"] = instruments
    within = facts.within(name)
    made = facts.files(item for part in within for item in facts.made.get(part, ()))
    used = facts.files_behind(item for part in within for item in facts.used.get(part, ()))
    for key, names in (("object", [item for item in used if item not in made]), ("result", made)):
        entities = [_file(facts, item) for item in names]
        graph.update((item["@id"], item) for item in entities)
        if entities:
            action[key] = [{"@id": item["@id"]} for item in entities]
    return action


def _agent(facts: _Facts, name: str) -> Entity:
    attributes = facts.elements[name][1]
    label = str(attributes["prov:label"][0])
    if "prov:Person" in facts.types(name):
        same = attributes.get("schema:sameAs")
        return {"@id": str(same[0]) if same else f"#{name.replace(':', '-')}", "@type": "Person",
                "name": label}  # fmt: skip
    return {
        "@id": f"#{name.replace(':', '-')}", "@type": "SoftwareApplication",
        "name": label.partition(" ")[0],
        "softwareVersion": str(attributes.get("schema:softwareVersion", [""])[0]),
    }  # fmt: skip


def _code(facts: _Facts, code: dict[str, str], name: str) -> Entity:
    """A script: in the crate where its text is known."""
    attributes = facts.elements[name][1]
    label = PurePath(str(attributes["prov:label"][0])).name
    entity: Entity = {"@id": f"#{name.replace(':', '-')}", "@type": "SoftwareSourceCode"}
    sha256 = facts.hashes.get(name)
    if sha256:
        sha256 = facts.blanked.get(sha256, sha256)
        path = f"code/{name.partition(':')[0]}/{label}"
        code[path] = sha256
        entity = {
            "@id": pathname2url(path),
            "@type": ["File", "SoftwareSourceCode"],
            "sha256": sha256,
        }
    return {**entity, "name": label, "programmingLanguage": "Python"}


def _file(facts: _Facts, name: str) -> Entity:
    attributes = facts.elements[name][1]
    path = str(attributes["prov:location"][0])
    is_set = "kp:FileSet" in facts.types(name)
    digest = facts.hashes.get(name)
    entity: Entity = {
        "@id": f"file://{pathname2url(path)}{'/' if is_set else ''}#{name.replace(':', '-')}",
        "@type": "Dataset" if is_set else "File",
        "name": str(attributes.get("prov:label", [path])[0]),
    }
    for key, attribute in (("contentSize", "kp:bytes"), ("dateModified", "schema:dateModified")):
        if attribute in attributes:
            entity[key] = str(attributes[attribute][0])
    return {**entity, "sha256": digest} if digest else entity
