"""PROV-N (W3C Recommendation), the notation for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from kerasprov_agent.documents.literals import double, integer_type, printable
from kerasprov_agent.documents.statement import Statement, Value
from kerasprov_agent.documents.vocabulary import Name

ELEMENTS = frozenset(("entity", "agent", "activity"))


def write(statements: Iterable[Statement], stream: IO[str]) -> None:
    """Write a document, a statement a line, in the order they come in."""
    stream.write("document\n")
    for statement in statements:
        if statement.kind == "prefix":
            stream.write(f"  prefix {statement.id} <{statement.formal[0]}>\n")
        elif statement.kind == "bundle":
            stream.write(f"  bundle {statement.id}\n")
        elif statement.kind == "endBundle":
            stream.write("  endBundle\n")
        else:
            stream.write(f"  {_line(statement)}\n")
    stream.write("endDocument\n")


def _line(statement: Statement) -> str:
    kind, name, formal = statement.kind, statement.id, statement.formal
    attributes = statement.attributes
    terms = ["-" if term is None else term for term in formal]
    if kind in ELEMENTS:
        terms.insert(0, str(name))
    elif name is not None:
        terms[0] = f"{name}; {terms[0]}"
    if attributes:
        terms.append("[" + ", ".join(f"{key}={_literal(value)}" for key, value in attributes) + "]")
    return f"{kind}({', '.join(terms)})"


def _literal(value: Value) -> str:
    if isinstance(value, Name):
        return f"'{value}'"
    if isinstance(value, bool):
        return f'"{"true" if value else "false"}" %% xsd:boolean'
    if isinstance(value, int):
        return str(value) if integer_type(value) == "xsd:int" else _typed(str(value), value)
    if isinstance(value, float):
        return f'"{double(value)}" %% xsd:double'
    return _quoted(printable(value))


def _typed(text: str, value: int) -> str:
    return f'"{text}" %% {integer_type(value)}'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
