"""The same statements in the package `prov`, which converts, merges and verifies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kerasprov_agent.documents.literals import double, integer_type, printable
from kerasprov_agent.documents.provn import ELEMENTS
from kerasprov_agent.documents.statement import Statement, Value
from kerasprov_agent.documents.vocabulary import Name

if TYPE_CHECKING:
    from prov.model import ProvDocument

PLAIN = frozenset(("specializationOf", "hadMember"))
"""Relations that have neither identifier nor attributes."""


def build(statements: Iterable[Statement]) -> ProvDocument:
    """A `prov.model.ProvDocument` of the statements; it is in memory as a whole."""
    from prov.model import ProvDocument

    document = ProvDocument()
    place: Any = document
    for statement in statements:
        kind, name, formal = statement.kind, statement.id, statement.formal
        if kind == "prefix":
            document.add_namespace(str(name), str(formal[0]))
            continue
        if kind == "bundle":
            place = document.bundle(str(name))
            continue
        if kind == "endBundle":
            place = document
            continue
        attributes = [(key, _literal(document, value)) for key, value in statement.attributes]
        make = getattr(place, kind)
        if kind in ELEMENTS:
            make(name, *formal, other_attributes=attributes)
        elif kind in PLAIN:
            make(*formal)
        else:
            make(*formal, identifier=name, other_attributes=attributes)
    return document


def _literal(document: ProvDocument, value: Value) -> Any:
    from prov.model import Literal

    if isinstance(value, Name):
        return document.valid_qualified_name(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return Literal(str(value), document.valid_qualified_name(integer_type(value)))
    if isinstance(value, float):
        return Literal(double(value), document.valid_qualified_name("xsd:double"))
    return printable(value)
