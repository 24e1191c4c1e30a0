"""PROV-JSON (W3C member submission), as prov, ProvToolbox and the W3C JSON schema read it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO, Any

from kerasprov_agent.documents.literals import double, integer_type, printable
from kerasprov_agent.documents.statement import Statement, Value
from kerasprov_agent.documents.vocabulary import Name

FORMAL = {
    "entity": (),
    "agent": (),
    "activity": ("startTime", "endTime"),
    "used": ("activity", "entity", "time"),
    "wasGeneratedBy": ("entity", "activity", "time"),
    "wasStartedBy": ("activity", "trigger", "starter", "time"),
    "wasInformedBy": ("informed", "informant"),
    "wasDerivedFrom": ("generatedEntity", "usedEntity", "activity", "generation", "usage"),
    "wasAssociatedWith": ("activity", "agent", "plan"),
    "wasAttributedTo": ("entity", "agent"),
    "specializationOf": ("specificEntity", "generalEntity"),
    "hadMember": ("collection", "entity"),
}
"""The names of the formal attributes, in PROV-N's order."""

DECLARED = {
    "prov": "http://www.w3.org/ns/prov#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
"""ProvToolbox wants these declared too."""


def write(statements: Iterable[Statement], stream: IO[str]) -> None:
    """Write a document; statements of a kind stand together, whatever order they come in."""
    prefixes = dict(DECLARED)
    members: dict[str, list[str]] = {}
    anonymous = 0
    for statement in statements:
        kind, name, formal = statement.kind, statement.id, statement.formal
        if kind == "prefix":
            prefixes[str(name)] = str(formal[0])
            continue
        if name is None:
            anonymous += 1
            name = f"_:id{anonymous}"
        body: dict[str, Any] = {
            f"prov:{key}": value
            for key, value in zip(FORMAL[kind], formal, strict=False)
            if value is not None
        }
        for key, value in statement.attributes:
            _add(body, key, _literal(value))
        members.setdefault(kind, []).append(f"{_text(name)}: {_text(body)}")
    stream.write(f'{{\n"prefix": {_text(prefixes)}')
    for kind, lines in members.items():
        stream.write(f",\n{_text(kind)}: {{\n")
        stream.write(",\n".join(lines))
        stream.write("\n}")
    stream.write("\n}\n")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _add(body: dict[str, Any], key: str, value: Any) -> None:
    """A second value for an attribute makes a list of them."""
    if key not in body:
        body[key] = value
    elif isinstance(body[key], list):
        body[key].append(value)
    else:
        body[key] = [body[key], value]


def _literal(value: Value) -> Any:
    if isinstance(value, Name):
        return {"$": value, "type": "prov:QUALIFIED_NAME"}
    if isinstance(value, bool):
        return {"$": "true" if value else "false", "type": "xsd:boolean"}
    if isinstance(value, int):
        return {"$": str(value), "type": integer_type(value)}
    if isinstance(value, float):
        return {"$": double(value), "type": "xsd:double"}
    return printable(value)
