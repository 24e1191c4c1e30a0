"""PROV-JSON (W3C member submission), as prov, ProvToolbox and the W3C JSON schema read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import cache
from tempfile import TemporaryFile
from typing import IO, Any

from kerasprov_agent.documents.literals import double, integer_type, printable
from kerasprov_agent.documents.statement import Statement
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


LINES = 512
"""So many statements of a kind are kept in memory; more go to a temporary file."""

_text = json.JSONEncoder(ensure_ascii=False).encode
_quoted = json.encoder.encode_basestring
_key = cache(_quoted)


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
        body = {
            key: _quoted(value)
            for key, value in zip(FORMAL[kind], statement.formal, strict=False)
            if value is not None
        }
        lists: dict[str, list[str]] = {}
        for key, value in statement.attributes:
            text = _LITERALS[value.__class__](value)
            if key in body:
                lists.setdefault(key, [body[key]]).append(text)
            else:
                body[key] = text
        for key, texts in lists.items():
            body[key] = f"[{', '.join(texts)}]"
        members = ", ".join([f"{_key(key)}: {text}" for key, text in body.items()])
        waiting = self._kinds.get(kind)
        if waiting is None:
            waiting = self._kinds[kind] = _Waiting()
        waiting.add(f"{_quoted(name)}: {{{members}}}")

    def copy_to(self, write: Callable[[str], object]) -> None:
        for number, (kind, waiting) in enumerate(self._kinds.items()):
            write(f"{',' if number else ''}\n{_text(kind)}: {{\n")
            waiting.copy_to(write)
            write("\n}")

    def close(self) -> None:
        for waiting in self._kinds.values():
            waiting.close()


def _integer(value: int) -> str:
    return f'{{"$": "{value}", "type": "{integer_type(value)}"}}'


# By hand, since a document of many runs is little else; strings are quoted by json.
_LITERALS: dict[type, Callable[[Any], str]] = {
    Name: lambda value: f'{{"$": {_quoted(value)}, "type": "prov:QUALIFIED_NAME"}}',
    bool: lambda value: f'{{"$": "{str(value).lower()}", "type": "xsd:boolean"}}',
    int: _integer,
    float: lambda value: f'{{"$": "{double(value)}", "type": "xsd:double"}}',
    str: lambda value: _quoted(printable(value)),
}
