"""PROV-JSON (W3C member submission), as prov, ProvToolbox and the W3C JSON schema read it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from tempfile import TemporaryFile
from typing import IO, Any

from kerasprov_agent.documents.literals import double, integer_type, printable
from kerasprov_agent.documents.statement import Statement, Value
from kerasprov_agent.documents.vocabulary import Name

FORMAL_ATTRIBUTES = {
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


LINES = 512
"""So many statements of a kind are kept in memory; more go to a temporary file."""

_text = json.JSONEncoder(ensure_ascii=False).encode
_quoted = json.encoder.encode_basestring


@cache
def _key(name: str) -> str:
    return f"{_quoted(name)}: "


FORMAL = {
    kind: tuple(_key(f"prov:{name}") for name in names) for kind, names in FORMAL_ATTRIBUTES.items()
}


def write(statements: Iterable[Statement], stream: IO[bytes]) -> None:
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
                stack.callback(members.close)
            elif statement.kind == "endBundle":
                bundles.add(f"{_text(bundle)}: {{\n")
                members.copy_to(bundles.stream())
                bundles.stream().write(b"\n}")
                members.close()
                members = document
            else:
                members.add(statement)
        stream.write(f'{{\n"prefix": {_text(prefixes)},\n'.encode())
        document.copy_to(stream)
        if bundles.count:
            stream.write(b',\n"bundle": {\n')
            bundles.copy_to(stream)
            stream.write(b"\n}")
        stream.write(b"\n}\n")


class _Waiting:
    """Members of a JSON object, in memory or, when they are many, in a temporary file."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._file: IO[bytes] | None = None
        self.count = 0

    def add(self, member: str) -> None:
        self._lines.append(",\n" + member if self.count else member)
        self.count += 1
        if len(self._lines) >= LINES:
            self.stream()

    def stream(self) -> IO[bytes]:
        """The file, with all that waited in it; more may be written to it."""
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - closed by close
        self._file.write("".join(self._lines).encode())
        self._lines.clear()
        return self._file

    def copy_to(self, stream: IO[bytes]) -> None:
        if self._file is not None:
            self._file.seek(0)
            shutil.copyfileobj(self._file, stream)
        stream.write("".join(self._lines).encode())

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
        members = [
            key + _quoted(value)
            for key, value in zip(FORMAL[kind], statement.formal, strict=False)
            if value is not None
        ]
        attributes = statement.attributes
        if len({key for key, _ in attributes}) < len(attributes):
            members += _grouped(attributes)
        else:
            members += [_key(key) + _LITERALS[value.__class__](value) for key, value in attributes]
        waiting = self._kinds.get(kind)
        if waiting is None:
            waiting = self._kinds[kind] = _Waiting()
        waiting.add(f"{_quoted(name)}: {{{', '.join(members)}}}")

    def copy_to(self, stream: IO[bytes]) -> None:
        for number, (kind, waiting) in enumerate(self._kinds.items()):
            stream.write(f"{',' if number else ''}\n{_text(kind)}: {{\n".encode())
            waiting.copy_to(stream)
            stream.write(b"\n}")

    def close(self) -> None:
        for waiting in self._kinds.values():
            waiting.close()


def _grouped(attributes: Iterable[tuple[str, Value]]) -> Iterator[str]:
    """Members for attributes of which some have several values."""
    groups: dict[str, list[str]] = {}
    for key, value in attributes:
        groups.setdefault(key, []).append(_LITERALS[value.__class__](value))
    for key, texts in groups.items():
        yield _key(key) + (texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")


def _integer(value: int) -> str:
    return f'{{"$": "{value}", "type": "{integer_type(value)}"}}'


# By hand, since a document of many runs is little else; strings are quoted by json.
_LITERALS: dict[type, Callable[[Any], str]] = {
    Name: lambda value: f'{{"$": {_quoted(value)}, "type": "prov:QUALIFIED_NAME"}}',
    bool: lambda value: f'{{"$": "{str(value).lower()}", "type": "xsd:boolean"}}',
    int: _integer,
    float: lambda value: '{"$": "' + double(value) + '", "type": "xsd:double"}',
    str: lambda value: _quoted(printable(value)),
}
