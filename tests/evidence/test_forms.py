"""What led to a model, in the forms of others, as their own libraries read them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import pkgutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import mlcroissant
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from openlineage.client import event_v2, generated
from openlineage.client.serde import Serde
from spdx_python_model.bindings import v3_0_1 as spdx

from tests.conftest import SHARED, kerasprov, needs_shared, recorded, row, rows

FORMS = ("cyclonedx", "spdx", "croissant", "openlineage")


def exported(study: Path, form: str, *what: str) -> Any:
    path = study / f"out.{form}"
    done = kerasprov("export", *what, "--format", form, "-o", path, "--db", study / "kerasprov.db")
    assert done.exit_code == 0, done.output
    return valid(form, path.read_text())


def valid(form: str, text: str) -> Any:
    """What a document says, after the library of its makers has read it without a complaint."""
    if form == "openlineage":
        return [of_library(json.loads(line)) for line in text.splitlines()]
    document = json.loads(text)
    if form == "cyclonedx":
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    elif form == "croissant":
        found = mlcroissant.Dataset(jsonld=document)
        assert not found.metadata.ctx.issues.errors
    else:
        found = spdx.SHACLObjectSet()
        spdx.JSONLDDeserializer().read(io.BytesIO(text.encode()), found)
        assert not found.missing_ids
        spdx.JSONLDSerializer().write(found, io.BytesIO())  # which counts what must be there
    return document


def facet(value: dict[str, Any]) -> dict[str, Any]:
    """A facet that the library's own class takes, and writes as it is."""
    name = value["_schemaURL"].rpartition("/")[2]
    if name == "RunFacet":  # one of ours
        return value
    for module in pkgutil.iter_modules(generated.__path__):
        found = __import__(f"{generated.__name__}.{module.name}", fromlist=["_"])
        if hasattr(found, name):
            given = {key: part for key, part in value.items() if key[0] != "_"}
            made = Serde.to_dict(getattr(found, name)(**given))
            assert {key: part for key, part in made.items() if key[0] != "_"} == given
            return value
    raise AssertionError(name)


def of_library(event: dict[str, Any]) -> dict[str, Any]:
    """An event that the library's own classes take."""
    for owner in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
        for place in ("facets", "inputFacets", "outputFacets"):
            for value in owner.get(place, {}).values():
                facet(value)
    event_v2.RunEvent(
        eventTime=event["eventTime"], producer=event["producer"],
        run=event_v2.Run(event["run"]["runId"]), job=event_v2.Job(event["job"]["namespace"], event["job"]["name"]),
        eventType=event_v2.RunState(event["eventType"]),
        inputs=[event_v2.InputDataset(each["namespace"], each["name"]) for each in event["inputs"]],
        outputs=[event_v2.OutputDataset(each["namespace"], each["name"]) for each in event["outputs"]],
    )  # fmt: skip
    return event


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_libraries_refuse_what_is_wrong(study: Path) -> None:
    bill = exported(study, "cyclonedx")
    del bill["components"][0]["type"]
    with pytest.raises(AssertionError):
        valid("cyclonedx", json.dumps(bill))
    bill = exported(study, "spdx")
    bill["@graph"][-1]["relationshipType"] = "madeOf"
    with pytest.raises(ValueError, match="madeOf"):
        valid("spdx", json.dumps(bill))
    card = exported(study, "croissant")
    del next(each for each in card["distribution"] if "sha256" in each)["sha256"]
    with pytest.raises(mlcroissant.ValidationError):
        valid("croissant", json.dumps(card))
    (event, *_) = exported(study, "openlineage")
    event["run"]["runId"] = "7"
    with pytest.raises(ValueError, match="UUID"):
        valid("openlineage", json.dumps(event))


def test_cyclonedx_names_data_by_hash_and_packages_by_version(study: Path) -> None:
    bill = exported(study, "cyclonedx", str(study / "tuned.keras"))
    model = bill["metadata"]["component"]
    assert model["type"] == "machine-learning-model" and model["name"] == "tune"
    assert model["hashes"] == [{"alg": "SHA-256", "content": sha256(study / "tuned.keras")}]
    (ancestor,) = model["pedigree"]["ancestors"]
    assert ancestor["hashes"][0]["content"] == sha256(study / "model.keras")
    card = model["modelCard"]
    settings = {each["name"]: each["value"] for each in card["properties"]}
    assert settings["kerasprov:fit.epochs"] == "2"
    assert settings["kerasprov:optimizer.learning_rate"] == "0.01"
    last = row(study / "kerasprov.db", "SELECT loss FROM epochs WHERE name = 'tune' AND epoch = 1")
    measured = card["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "loss", "value": str(last["loss"]), "slice": "last epoch"} in measured
    assert card["modelParameters"]["task"] == "regression"

    versions = {each["purl"] for each in bill["components"] if each["type"] == "library"}
    assert f"pkg:pypi/keras@{importlib.metadata.version('keras')}" in versions
    assert f"pkg:pypi/numpy@{importlib.metadata.version('numpy')}" in versions

    known: dict[str, Any] = {}
    waiting = [model, *bill["components"]]
    for each in waiting:
        assert each["bom-ref"] not in known
        known[each["bom-ref"]] = each
        waiting += each.get("components", ())
    # One picture of forty was tuned on; the lineage goes back from there to the raw files.
    (trained_on,) = card["modelParameters"]["datasets"]
    data = known[trained_on["ref"]]
    assert data["name"] == "00.npy"
    assert data["hashes"][0]["content"] == sha256(study / "raw/00.npy")
    edges = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert {*edges} | {ref for refs in edges.values() for ref in refs} <= {*known}

    def behind(ref: str) -> set[str]:
        found = {ref}
        for source in edges.get(ref, ()):
            found |= behind(source)
        return found

    names = {known[ref]["name"] for ref in behind(model["bom-ref"])}
    assert {"tune", "train", "model.keras", "small", "raw", "tune.py", "train.py"} <= names
    small = next(each for each in bill["components"] if each["name"] == "small")
    hashes = {each["name"]: each["hashes"][0]["content"] for each in small["components"]}
    assert hashes == {path.name: sha256(path) for path in (study / "small").iterdir()}


def test_spdx_says_what_was_trained_on_what(study: Path) -> None:
    bill = exported(study, "spdx", "train")
    known = {each["spdxId"]: each for each in bill["@graph"] if "spdxId" in each}
    (model,) = [each for each in known.values() if each["type"] == "ai_AIPackage"]

    def related_to(element: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        return {
            each["relationshipType"]: [known[to] for to in each["to"]]
            for each in known.values()
            if each["type"] == "Relationship" and each["from"] == element["spdxId"]
        }

    related = related_to(model)
    (data,) = related["trainedOn"]
    assert data["type"] == "dataset_DatasetPackage" and data["name"] == str(study / "small")
    assert related["testedOn"] == [data]
    (saved,) = related["contains"]
    assert saved["verifiedUsing"][0]["hashValue"] == sha256(study / "model.keras")
    (program,) = [each for each in known.values() if related_to(each).get("generates") == [model]]
    urls = {each.get("software_packageUrl") for each in related_to(program)["dependsOn"]}
    assert f"pkg:pypi/keras@{importlib.metadata.version('keras')}" in urls
    metrics = {each["key"]: each["value"] for each in model["ai_metric"]}
    tested = row(study / "kerasprov.db", "SELECT loss FROM evaluations")
    assert metrics["test loss"] == str(tested["loss"])
    document = next(each for each in known.values() if each["type"] == "SpdxDocument")
    assert document["profileConformance"] == ["core", "software"]


def test_croissant_tells_each_file_by_its_hash(study: Path) -> None:
    card = exported(study, "croissant", "train")
    hashes = {
        each["contentUrl"]: each["sha256"] for each in card["distribution"] if "sha256" in each
    }
    for folder in ("raw", "small"):
        for path in (study / folder).iterdir():
            assert hashes[path.as_uri()] == sha256(path)
    sets = {each["name"]: each for each in card["distribution"] if each["@type"] == "cr:FileSet"}
    assert sets["small"]["prov:wasDerivedFrom"] == [{"@id": sets["raw"]["@id"]}]
    assert "training data of train, test data of train" in sets["small"]["description"]


def test_openlineage_leads_from_training_data_to_model(study: Path) -> None:
    events = exported(study, "openlineage")
    ended = [event for event in events if event["eventType"] == "COMPLETE"]
    edges = {
        event["job"]["name"]: (
            {Path(each["name"]).name for each in event["inputs"]},
            {Path(each["name"]).name for each in event["outputs"]},
        )
        for event in ended
    }
    assert edges["train.py.fit"] == ({"small"}, {"model.keras"})
    assert edges["tune.py.fit"] == ({"00.npy", "model.keras"}, {"tuned.keras"})
    assert edges["train.py.evaluate"] == ({"small", "model.keras"}, set())
    assert edges["prepare.py"][0] == {"raw"} and "small" in edges["prepare.py"][1]
    for event in ended:
        begun = [e for e in events if e["run"]["runId"] == event["run"]["runId"]]
        assert [e["eventType"] for e in begun] == ["START", "COMPLETE"]
    (fit,) = [event for event in ended if event["job"]["name"] == "train.py.fit"]
    parent = fit["run"]["facets"]["parent"]["run"]["runId"]
    (program,) = [event for event in ended if event["run"]["runId"] == parent]
    assert program["job"]["name"] == "train.py"
    (model,) = fit["outputs"]
    assert model["facets"]["version"]["datasetVersion"] == f"sha256:{sha256(study / 'model.keras')}"
    told = {e["key"]: e["value"] for e in fit["run"]["facets"]["executionParameters"]["parameters"]}
    assert told["fit.batch_size"] == "8"


def test_a_folder_whose_files_were_altered_is_two_data_sets(study: Path) -> None:
    other = (study / "prepare.py").read_text().replace("[::2]", "[1::2]").replace("os.makedirs", "")
    for name, text in (("other", other), ("again", (study / "train.py").read_text())):
        done = recorded(study, text, "--prov", "off", name=f"{name}.py")
        assert done.returncode == 0, done.stderr.decode()
    bill = exported(study, "cyclonedx")
    models = [*bill["components"], bill["metadata"]["component"]]
    used = {
        model["name"]: {each["ref"] for each in model["modelCard"]["modelParameters"]["datasets"]}
        for model in models
        if model["type"] == "machine-learning-model"
    }
    assert not used["train"] & used["again"]
    data = {each["bom-ref"]: each for each in bill["components"] if each["type"] == "data"}
    assert [each["name"] for each in data.values()].count("small") == 2
    (now,) = used["again"]
    hashes = {each["name"]: each["hashes"][0]["content"] for each in data[now]["components"]}
    assert hashes == {path.name: sha256(path) for path in (study / "small").iterdir()}


FAILS = """
import keras, numpy as np
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.ones((8, 2), "float32")
model.fit(x, x[:, :1] / 0, epochs=2, verbose=0)
def stop(epoch, logs): raise ValueError("no \\udce9 more")
model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=stop)])
"""


def test_what_is_odd_is_told_all_the_same(tmp_path: Path) -> None:
    """No file of data, no saved model, NaN, an exception; a name and a path of any bytes."""
    (tmp_path / "a\udce9b").mkdir()
    place = tmp_path / "a\udce9b" / "x.py"
    place.write_text(FAILS)
    done = recorded(tmp_path, FAILS, "--prov", "off", name="a\udce9b/x.py")
    assert done.returncode == 1
    for form in FORMS:
        told = exported(tmp_path, form)
        text = json.dumps(told)
        assert "NaN" not in text, form
    events = exported(tmp_path, "openlineage")
    (failed,) = [e for e in events if e["eventType"] == "FAIL" and "fit" in e["job"]["name"]]
    assert "ValueError: no \\udce9 more" in failed["run"]["facets"]["errorMessage"]["message"]
    fits = [e for e in events if e["eventType"] == "COMPLETE" and "fit" in e["job"]["name"]]
    (unsaved,) = fits[0]["outputs"]  # the first fit's model, with which the second one went on
    assert unsaved["name"].startswith("urn:uuid:") and fits[0]["inputs"] == []
    assert [each["name"] for each in failed["inputs"]] == [unsaved["name"]]
    assert fits[0]["run"]["facets"]["kerasprov_metrics"]["lastEpoch"] == {}
    bill = exported(tmp_path, "cyclonedx", "1")
    measured = bill["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]
    assert measured["performanceMetrics"][0]["value"] == "nan"


def test_a_large_file_without_a_whole_hash_is_told_by_its_name(study: Path) -> None:
    with closing(sqlite3.connect(study / "kerasprov.db")) as connection:
        connection.execute(
            "UPDATE file SET partial_sha256 = sha256, sha256 = NULL WHERE path LIKE '%/model.keras'"
        )
        connection.execute("UPDATE entity SET name = NULL")
        connection.commit()
    for form in FORMS:
        exported(study, form)
    models = exported(study, "cyclonedx")["components"]
    (model,) = [each for each in models if each["name"] == "train"]
    assert "hashes" not in model and "hashes" not in model["components"][0]
    named = {each["name"] for each in model["components"][0]["properties"]}
    assert "kerasprov:partialSha256" in named


def test_a_commit_is_told(tmp_path: Path) -> None:
    text = "import keras\nm = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
    text += "m.compile('sgd', 'mse')\nimport numpy as np\nm.fit(np.ones((4, 2)), np.ones(4), verbose=0)\n"
    (tmp_path / "t.py").write_text(text)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (("init", "-q"), ("remote", "add", "origin", "https://example.org/a/b.git"),
                  ("add", "t.py"), ("commit", "-qm", "first")):  # fmt: skip
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    assert recorded(tmp_path, text, "--prov", "off", name="t.py").returncode == 0
    (run,) = rows(tmp_path / "kerasprov.db", "SELECT git_commit FROM runs")
    (event, *_) = exported(tmp_path, "openlineage")
    where = event["job"]["facets"]["sourceCodeLocation"]
    assert (where["version"], where["url"]) == (run["git_commit"], "https://example.org/a/b.git")
    for form in ("cyclonedx", "spdx"):
        assert run["git_commit"] in json.dumps(exported(tmp_path, form))


@needs_shared
@pytest.mark.parametrize("form", FORMS)
def test_what_was_imported_is_told(form: str, tmp_path: Path) -> None:
    """Of the ancestors many a thing is not known: times, their zones, the programs, the data."""
    database = tmp_path / "kerasprov.db"
    dumps = [path for path in (SHARED / "data" / "ancestor").iterdir() if path.suffix != ".md"]
    assert kerasprov("import", *dumps, "--db", database).exit_code == 0
    path = tmp_path / "out"
    done = kerasprov("export", "--format", form, "-o", path, "--db", database)
    assert done.exit_code == 0, done.output
    valid(form, path.read_text())
    assert ("trainings are left out: their times are not known" in done.output) == (
        form == "openlineage"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("raw/00.npy", "--format", "spdx"), "no training is recorded that led to that"),
        (("none.keras", "--format", "cyclonedx"), "nothing recorded of 'none.keras'"),
        (("last", "--format", "csv"), "csv is written of the whole database; leave out last"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    study: Path, words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    done = kerasprov("export", *words, "-o", study / "out", "--db", study / "kerasprov.db")
    assert done.exit_code == 2 and message in done.output and done.output.count("\n") == 1
    assert not (study / "out").exists()
