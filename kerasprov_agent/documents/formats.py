"""The formats of a document: who writes each, what it needs installed, how much it can take."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from kerasprov_agent.documents import prov_json, provn
from kerasprov_agent.documents.document import Document
from kerasprov_agent.documents.statement import Statement
from kerasprov_agent.errors import KerasProvError

Write = Callable[[Document, Iterable[Statement], Any], None]
"""Writes the statements of a document, which may be counted on their way, to a stream."""

IN_MEMORY = 100_000
"""What `prov` can hold in memory: 600,000 statements take it and rdflib 6 GB and 6 minutes."""
DRAWN = 300_000


class Format:
    """One row of the table."""

    def __init__(
        self,
        name: str,
        meaning: str,
        write: Write,
        limit: int | None = None,
        extra: tuple[str, str] | None = None,
        binary: bool = False,
        readable: bool = True,
    ) -> None:
        self.name, self.meaning, self.write = name, meaning, write
        self.limit, self.extra = limit, extra
        self.binary, self.readable = binary, readable
        """Whether it is written as bytes, and whether a terminal can show it."""

    def check(self, document: Document) -> None:
        """Raise `KerasProvError` where a document can't be written so."""
        if document.bundles and self.name == "ttl":
            raise KerasProvError("Turtle can't hold bundles; write trig, which is Turtle with them")
        size, has_summary = document.size(), document.profile == "summary"
        if self.extra and not find_spec(self.extra[0]):
            raise KerasProvError(
                f"{self.name} needs {self.extra[0]}: pip install 'kerasprov_agent[{self.extra[1]}]'"
            )
        if self.limit and size > self.limit:
            summary = "" if has_summary else ", or --profile summary"
            raise KerasProvError(
                f"about {size:,} statements are too many for {self.name} ({self.limit:,} at most); "
                f"write json or provn, which take any number{summary}"
            )


def _json(_document: Document, statements: Iterable[Statement], stream: IO[bytes]) -> None:
    prov_json.write(statements, stream)


def _provn(_document: Document, statements: Iterable[Statement], stream: IO[str]) -> None:
    provn.write(statements, stream)


def _by_prov(**options: Any) -> Write:
    def write(_document: Document, statements: Iterable[Statement], stream: IO[str]) -> None:
        from kerasprov_agent.documents import prov_document

        stream.write(str(prov_document.build(statements).serialize(**options)))

    return write


def _rdf(rdf_format: str) -> Write:
    def write(_document: Document, statements: Iterable[Statement], stream: IO[str]) -> None:
        from kerasprov_agent.documents import prov_document, rdf

        stream.write(rdf.text(prov_document.build(statements), rdf_format))

    return write


def _crate(document: Document, statements: Iterable[Statement], stream: IO[bytes]) -> None:
    from kerasprov_agent.documents import crate

    crate.write(document, statements, stream)


def _dot(document: Document, statements: Iterable[Statement], stream: IO[str]) -> None:
    from kerasprov_agent.documents.picture import dot

    stream.write(dot.text(statements, document.detail, document.base))


def _picture(kind: str) -> Write:
    def write(document: Document, statements: Iterable[Statement], stream: IO[bytes]) -> None:
        from kerasprov_agent.documents.picture import dot, graphviz

        stream.write(graphviz.render(dot.text(statements, document.detail, document.base), kind))

    return write


FORMATS = {
    form.name: form
    for form in (
        Format("json", "PROV-JSON", _json, binary=True),
        Format("provn", "PROV-N", _provn),
        Format("ttl", "PROV-O in Turtle", _rdf("turtle"), IN_MEMORY, ("rdflib", "rdf")),
        Format("trig", "PROV-O in TriG", _rdf("trig"), IN_MEMORY, ("rdflib", "rdf")),
        Format("xml", "PROV-XML", _by_prov(format="xml"), IN_MEMORY, ("lxml", "xml")),
        Format("jsonld", "PROV-JSONLD", _by_prov(format="jsonld", context="embed"), IN_MEMORY),
        Format(
            "crate", "a zipped Process Run RO-Crate", _crate, DRAWN, binary=True, readable=False
        ),
        Format("dot", "a picture for Graphviz", _dot, DRAWN),
        Format("svg", "a picture with links", _picture("svg"), DRAWN, binary=True),
        Format("png", "a picture", _picture("png"), DRAWN, binary=True, readable=False),
    )
}


def of_ending(path: str | os.PathLike[str]) -> str | None:
    """The format that the ending of a file's name stands for; None where it has no ending.

    Raises `KerasProvError` for an ending of something else.
    """
    ending = Path(path).suffix.removeprefix(".").lower()
    chosen = {"zip": "crate", "gv": "dot"}.get(ending, ending)
    if chosen and chosen not in FORMATS:
        raise KerasProvError(f"{ending!r} is no format; there are {', '.join(FORMATS)}")
    return chosen or None
