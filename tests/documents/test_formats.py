"""Each format says the same: as streamed, as `prov` builds it, and as it is read back."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from prov.model import ProvDocument

from kerasprov_agent import documents
from kerasprov_agent.documents import prov_json
from kerasprov_agent.errors import KerasProvError
from tests.conftest import rest_is_slow
from tests.documents.programs import PROGRAMS, QUICK, document, statement_texts

READERS = {"json": {"format": "json"}, "provn": {"format": "provn"}, "xml": {"format": "xml"},
           "jsonld": {"format": "jsonld"}, "ttl": {"format": "rdf", "rdf_format": "turtle"},
           "trig": {"format": "rdf", "rdf_format": "trig"}}  # fmt: skip


def read(text: str, format: str) -> ProvDocument:
    """Read with `prov`; what it will refuse one day is an error today."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="rdflib")
        warnings.filterwarnings("ignore", message="Dataset.")
        return ProvDocument.deserialize(content=text, **READERS[format])


def without_direct_triples(found: ProvDocument) -> list[str]:
    """What is read of RDF: `prov` takes a direct triple for one more, anonymous, relation."""
    return [text for text in statement_texts(found) if " None [" not in text]


@pytest.mark.parametrize("bundles", [False, True])
@pytest.mark.parametrize("name", rest_is_slow(PROGRAMS, *QUICK))
def test_all_formats_say_the_same(programs: dict[str, Path], name: str, bundles: bool) -> None:
    with document(programs[name], bundles=bundles, profile="full") as made:
        built = made.build()
        texts = {
            format: documents.text(made, format)
            for format in READERS
            if not (bundles and format == "ttl")
        }
    wanted = statement_texts(built)
    assert len(wanted) > 10
    # NaN is not equal to itself, but its text is.
    for format in ("json", "provn", "xml", "jsonld"):
        assert statement_texts(read(texts[format], format)) == wanted, format
    named = [text for text in wanted if " None [" not in text]
    for format in ("ttl", "trig"):
        if format in texts:
            found = read(texts[format], format)
            assert without_direct_triples(found) == named, format
            assert set(wanted) <= set(statement_texts(found)), format


def test_many_statements_wait_in_files(
    programs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for bundles in (False, True):
        with document(programs["plain"], bundles=bundles) as made:
            whole = documents.text(made, "json")
            monkeypatch.setattr(prov_json, "LINES", 3)
            again = documents.text(made, "json")
            monkeypatch.undo()
        first, second = json.loads(whole), json.loads(again)
        for one in (first, second):
            one.pop("wasGeneratedBy")
        assert first == second


def test_turtle_has_the_direct_triples(programs: dict[str, Path]) -> None:
    rdflib = pytest.importorskip("rdflib")
    with document(programs["plain"]) as made:
        graph = rdflib.Graph().parse(data=documents.text(made, "ttl"), format="turtle")
        text = json.loads(documents.text(made, "json"))
    prov = rdflib.Namespace("http://www.w3.org/ns/prov#")
    namespaces = {prefix: rdflib.Namespace(iri) for prefix, iri in text["prefix"].items()}
    named = {"used": ("activity", "entity"), "wasGeneratedBy": ("entity", "activity"),
             "wasAssociatedWith": ("activity", "agent"),
             "wasDerivedFrom": ("generatedEntity", "usedEntity")}  # fmt: skip
    for relation, ends in named.items():
        for one in text[relation].values():
            if f"prov:{ends[1]}" in one:
                start, end = (one[f"prov:{key}"].partition(":") for key in ends)
                triple = (
                    namespaces[start[0]][start[2]],
                    prov[relation],
                    namespaces[end[0]][end[2]],
                )
                assert triple in graph


def test_a_base_of_ones_own(programs: dict[str, Path]) -> None:
    with document(programs["plain"], base="https://lab.example.org/prov/") as made:
        text = json.loads(documents.text(made, "json"))
    assert text["prefix"]["kp"] == "https://lab.example.org/prov/ns#"
    assert "w3id.org/kerasprov" not in json.dumps(text)


def test_what_is_too_much_for_a_format_is_told_before(
    programs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with document(programs["plain"]) as made:
        monkeypatch.setattr(type(made), "size", lambda _: 600_000)
        for format in ("ttl", "trig", "xml", "jsonld"):
            with pytest.raises(KerasProvError, match="json or provn"):
                documents.text(made, format)
        assert documents.text(made, "provn")


@pytest.mark.parametrize("name", rest_is_slow(PROGRAMS, *QUICK))
def test_the_size_is_known_before(programs: dict[str, Path], name: str) -> None:
    for profile in ("full", "summary"):
        with document(programs[name], profile=profile) as made:
            real = sum(1 for one in made.statements() if one.kind != "prefix")
            assert made.size() / 4 < real < made.size() * 6


def test_turtle_holds_no_bundles(programs: dict[str, Path]) -> None:
    with (
        document(programs["plain"], bundles=True) as made,
        pytest.raises(KerasProvError, match="trig"),
    ):
        documents.text(made, "ttl")


def test_streams(programs: dict[str, Path], capfd: Any) -> None:
    with document(programs["plain"]) as made:
        documents.write_to(None, made, "json")
        stream = io.BytesIO()
        documents.FORMATS["json"].write(made, made.statements(), stream)
    assert json.loads(capfd.readouterr().out).keys() == json.loads(stream.getvalue()).keys()
