"""PROV-JSON (W3C member submission), as prov, ProvToolbox and the W3C JSON schema read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from tempfile import TemporaryFile
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
FORMAL = {kind: tuple(f"prov:{name}" for name in names) for kind, names in FORMAL.items()}

DECLARED = {
    "prov": "http://www.w3.org/ns/prov#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
"""ProvToolbox wants these declared too."""


LINES = 4096
"""So many statements of a kind are kept in memory; more go to a temporary file."""

_text = json.JSONEncoder(ensure_ascii=False).encode


def write(statements: Iterable[Statement], stream: IO[str]) -> None:
    """Write a document in constant memory, whatever order the statements come in.

    Those of a kind have to stand together: they wait, the most of them in temporary files.
    """
    document = _Members()
    bundle, members, bundles = "", document, _Waiting()
    with ExitStack() as stack:
        stack.callback(bundles.close)
        stack.callback(document.close)
        prefixes = dict(DECLARED)
        for statement in statements:
            if statement.kind == "prefix":
                prefixes[str(statement.id)] = str(statement.formal[0])
            elif statement.kind == "bundle":
                bundle, members = str(statement.id), _Members()
            elif statement.kind == "endBundle":
                bundles.add(f"{_text(bundle)}: {{\n")
                members.copy_to(bundles.write)
                bundles.write("\n}")
                members.close()
                members = document
            else:
                members.add(statement)
        stream.write(f'{{\n"prefix": {_text(prefixes)},\n')
        document.copy_to(stream.write)
        if bundles.count:
            stream.write(',\n"bundle": {\n')
            bundles.copy_to(stream.write)
            stream.write("\n}")
        stream.write("\n}\n")


class _Waiting:
    """Members of a JSON object, in memory or, when they are many, in a temporary file."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._file: IO[str] | None = None
        self.count = 0

    def add(self, member: str) -> None:
        self.write(f",\n{member}" if self.count else member)
        self.count += 1

    def write(self, text: str) -> None:
        self._lines.append(text)
        if len(self._lines) >= LINES:
            if self._file is None:
                self._file = TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115 - closed by close
            self._file.writelines(self._lines)
            self._lines.clear()

    def copy_to(self, write: Callable[[str], object]) -> None:
        if self._file is not None:
            self._file.seek(0)
            while piece := self._file.read(1 << 16):
                write(piece)
        for line in self._lines:
            write(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Members:
    """The statements of a document or bundle, by their kind."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Waiting] = {}
        self._anonymous = 0

    def add(self, statement: Statement) -> None:
        kind, name = statement.kind, statement.id
        if name is None:
            self._anonymous += 1
            name = f"_:id{self._anonymous}"
        body: dict[str, Any] = {
            key: value
            for key, value in zip(FORMAL[kind], statement.formal, strict=False)
            if value is not None
        }
        for key, value in statement.attributes:
            if key in body:
                _add(body, key, _literal(value))
            else:
                body[key] = _literal(value)
        waiting = self._kinds.get(kind)
        if waiting is None:
            waiting = self._kinds[kind] = _Waiting()
        waiting.add(f"{_text(name)}: {_text(body)}")

    def copy_to(self, write: Callable[[str], object]) -> None:
        for number, (kind, waiting) in enumerate(self._kinds.items()):
            write(f"{',' if number else ''}\n{_text(kind)}: {{\n")
            waiting.copy_to(write)
            write("\n}")

    def close(self) -> None:
        for waiting in self._kinds.values():
            waiting.close()


def _add(body: dict[str, Any], key: str, value: Any) -> None:
    """A second value for an attribute makes a list of them."""
    if isinstance(body[key], list):
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
