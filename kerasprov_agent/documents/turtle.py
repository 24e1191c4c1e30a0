"""PROV-O in Turtle, by the package `prov` and rdflib."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import IO

from kerasprov_agent.documents import prov_json
from kerasprov_agent.documents.statement import Statement


def write(statements: Iterable[Statement], stream: IO[str]) -> None:
    """Write a document; it is in memory as a whole."""
    from prov.model import ProvDocument

    text = io.StringIO()
    prov_json.write(statements, text)
    document = ProvDocument.deserialize(content=text.getvalue(), format="json")
    stream.write(str(document.serialize(format="rdf", rdf_format="turtle")))
