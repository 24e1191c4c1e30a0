"""What others read our documents with finds in them what it looks for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import kerasprov_agent
from kerasprov_agent import documents
from tests.conftest import ROOT, row, rows
from tests.documents.programs import document, statement_texts

QUESTIONS = re.findall(
    r"### (.*?)\n.*?```sparql\n(.*?)```", (ROOT / "docs" / "prov.md").read_text(), re.DOTALL
)


@pytest.fixture(scope="module")
def graph(pipeline: Path) -> Any:
    rdflib = pytest.importorskip("rdflib")
    with document(pipeline) as made:
        return rdflib.Graph().parse(data=documents.text(made, "ttl"), format="turtle")


def ask(graph: Any, number: int) -> list[list[Any]]:
    return [[one.toPython() for one in found] for found in graph.query(QUESTIONS[number][1])]


def test_five_questions_in_sparql(graph: Any, pipeline: Path) -> None:
    assert len(QUESTIONS) == 5
    epochs = rows(pipeline, "SELECT * FROM epoch ORDER BY loss")
    (best,) = ask(graph, 0)
    assert best[1:] == [epochs[0]["epoch"], epochs[0]["loss"]]
    rates = [found["learning_rate"] for found in rows(pipeline, "SELECT * FROM compile")]
    assert rates and [found[1] for found in ask(graph, 1)] == rates
    origins = {Path(str(found[0])).name for found in ask(graph, 2)}
    assert origins == {"data.npz"}
    tested = ask(graph, 3)
    assert [found[1] for found in tested] == [row(pipeline, "SELECT loss FROM evaluation")["loss"]]
    people = ask(graph, 4)
    assert ["0000-0002-1825-0097"] in [found[1:2] for found in people]


def test_networkx(pipeline: Path) -> None:
    networkx = pytest.importorskip("networkx")
    from prov.graph import prov_to_graph

    with document(pipeline) as found:
        made = found.build()
    graph = prov_to_graph(made)
    assert networkx.is_directed_acyclic_graph(networkx.DiGraph(graph))
    by_label = {}
    for node in graph.nodes:
        for label in node.get_attribute("prov:label"):
            by_label.setdefault((str(label), str(node.identifier)[:4]), node)
    model = by_label["model.keras", "run2"]
    names = {str(label) for one in networkx.descendants(graph, model)
             for label in one.get_attribute("prov:label")}  # fmt: skip
    assert {"data.npz", "training data", "fit, 5 epochs", "compile"} <= names


def test_rocrate(pipeline: Path, tmp_path: Path) -> None:
    pytest.importorskip("rocrate")
    import mlcroissant
    from rocrate.rocrate import ROCrate

    target = tmp_path / "crate.zip"
    kerasprov_agent.write_provenance(target, "train", db=str(pipeline))
    assert zipfile.ZipFile(target).testzip() is None
    crate = ROCrate(str(target))
    assert "process/0.5" in str(crate.root_dataset["conformsTo"])
    actions = [one for one in crate.get_entities() if one.type == "CreateAction"]
    fit = next(one for one in actions if one["name"].startswith("fit"))
    assert fit["actionStatus"].endswith("CompletedActionStatus")
    assert {Path(one["name"]).name for one in fit["object"]} == {"data.npz"}
    execution = next(one for one in actions if one.id == "#run-execution")
    assert {one["name"] for one in execution["result"]} == {"model.keras"}
    assert execution["agent"].id == "https://orcid.org/0000-0002-1825-0097"
    script = next(one for one in execution["instrument"] if "SoftwareSourceCode" in one.type)
    assert "model.fit" in zipfile.ZipFile(target).read(script.id).decode()
    ids = {one.id for one in crate.get_entities()}
    assert all(part.id in ids for part in crate.root_dataset["hasPart"])
    assert json.loads(zipfile.ZipFile(target).read("prov.json"))["entity"]
    data = mlcroissant.Dataset(jsonld=json.loads(zipfile.ZipFile(target).read("croissant.json")))
    assert "croissant/1.1" in str(crate.get("croissant.json")["conformsTo"])
    assert {file.name for file in data.metadata.distribution} >= {"data.npz"}


def test_prov_2_reads_it(pipeline: Path, tmp_path: Path) -> None:
    """As much of the field still does; prov 2.0 stands beside the one that is installed."""
    place = tmp_path / "old"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(place)]
    done = subprocess.run([*command, "prov==2.0.0"], capture_output=True, check=False)
    if done.returncode or not find_spec("dateutil"):
        pytest.skip("prov 2.0.0 could not be installed")
    with document(pipeline) as made:
        (tmp_path / "doc.json").write_text(documents.text(made, "json"))
        wanted = len(statement_texts(made.build()))
    script = (
        "import prov, prov.model as m; d = m.ProvDocument.deserialize('doc.json'); "
        "types = [t for r in d.get_records() for t in r.get_attribute('prov:type')]; "
        "print(prov.__file__, len(list(d.get_records())), {type(t).__name__ for t in types})"
    )
    variables = {**os.environ, "PYTHONPATH": str(place)}
    read = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=variables,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert read.returncode == 0, read.stderr
    file, count, types = read.stdout.split(maxsplit=2)
    assert str(place) in file and types.strip() == "{'QualifiedName'}"
    assert int(count) >= wanted  # and the time of the document itself


def test_the_schemas_of_the_w3c(pipeline: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    etree = pytest.importorskip("lxml.etree")
    import prov

    schemas = Path(prov.__file__).parent / "tests" / "schemas"
    for bundles in (False, True):
        with document(pipeline, bundles=bundles) as made:
            found, xml = documents.text(made, "json"), documents.text(made, "xml")
        validator = jsonschema.Draft4Validator(_json_schema(schemas))
        assert not [error.message for error in validator.iter_errors(json.loads(found))]
        xsd = etree.XMLSchema(etree.parse(str(next(schemas.rglob("prov.xsd")))))
        xsd.assertValid(etree.fromstring(xml.encode()))


def _json_schema(place: Path) -> Any:
    for path in place.rglob("*.json"):
        schema = json.loads(path.read_text())
        if "wasGeneratedBy" in json.dumps(schema) and "entity" in schema.get("properties", {}):
            return schema
    raise AssertionError(f"no schema of PROV-JSON below {place}")
