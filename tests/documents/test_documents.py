"""Every document is valid PROV, and says what the database says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import prov.model
import pytest

from kerasprov_agent import documents
from tests.conftest import TINY, clean_environment, recorded, rest_is_slow, row, rows
from tests.documents.programs import PROGRAMS, QUICK, document

Check = Callable[..., None]


def write(path: Path, target: Path, *runs: str, **options: Any) -> Path:
    with document(path, *runs, **options) as made:
        documents.write_to(str(target), made, target.suffix[1:])
    return target


@pytest.mark.parametrize("name", rest_is_slow(PROGRAMS, *QUICK))
def test_the_checker_says_ok(
    programs: dict[str, Path], check_prov: Check, tmp_path: Path, name: str
) -> None:
    path = programs[name]
    files = []
    for ending in ("json", "provn", "ttl", "trig", "xml"):
        files.append(write(path, tmp_path / f"full.{ending}", profile="full"))
        if ending != "ttl":
            bundled = tmp_path / f"bundles.{ending}"
            files.append(write(path, bundled, bundles=True, profile="summary"))
    for number, run in enumerate(rows(path, "SELECT id FROM run")):
        files.append(write(path, tmp_path / f"run-{number}.json", run["id"]))
    automatic = list((path.parent / "kerasprov-prov").glob("*.json"))
    assert len(automatic) == (0 if name.startswith("killed") else 1)
    check_prov(*files, *automatic)


def test_a_pipeline_of_three_programs(pipeline: Path, check_prov: Check, tmp_path: Path) -> None:
    merged = write(pipeline, tmp_path / "merged.json")
    bundled = write(pipeline, tmp_path / "bundled.json", bundles=True)
    trig = write(pipeline, tmp_path / "bundled.trig", bundles=True)
    check_prov(merged, bundled, trig, write(pipeline, tmp_path / "short.json", profile="summary"))
    made = json.loads(merged.read_text())
    assert {"run1", "run2", "run3"} <= set(made["prefix"])
    people = [one for one in made["agent"].values() if "prov:Person" in str(one)]
    assert "https://orcid.org/0000-0002-1825-0097" in [one.get("schema:sameAs") for one in people]
    # The three meet in the contents of the data and of the model.
    contents: dict[str, set[str]] = {}
    for one in made["specializationOf"].values():
        prefix = one["prov:specificEntity"].partition(":")[0]
        contents.setdefault(one["prov:generalEntity"], set()).add(prefix)
    assert {"run1", "run2", "run3"} in contents.values() and {"run2", "run3"} in contents.values()
    assert len(json.loads(bundled.read_text())["bundle"]) == 3


@pytest.mark.slow
def test_documents_of_two_machines_are_merged_by_prov(tmp_path: Path, check_prov: Check) -> None:
    data = "np.savez('data.npz', x=x, y=y); d = np.load('data.npz'); model.fit(d['x'], d['y'], verbose=0)"
    written = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        recorded(tmp_path / name, TINY + data)
        written.append(write(tmp_path / name / "kerasprov.db", tmp_path / f"{name}.json"))
    one, two = (prov.model.ProvDocument.deserialize(str(path)) for path in written)
    one.update(two)
    merged = one.unified()
    merged.serialize(str(tmp_path / "merged.json"))
    check_prov(tmp_path / "merged.json")
    contents = [str(e.identifier) for e in merged.get_records(prov.model.ProvEntity)]
    assert len({c for c in contents if "sha256-" in c}) == len(
        [c for c in contents if "sha256-" in c]
    )


@pytest.mark.slow
def test_a_thousand_epochs(tmp_path: Path, check_prov: Check) -> None:
    recorded(tmp_path, TINY + "model.fit(x, y, epochs=1001, batch_size=64, verbose=0)")
    path = tmp_path / "kerasprov.db"
    full = write(path, tmp_path / "full.json", profile="full")
    short = write(path, tmp_path / "short.json")
    check_prov(short)  # the checker takes a minute for the full one; it says ok of smaller ones
    assert len(json.loads(full.read_text())["activity"]) > 1001
    made = json.loads(short.read_text())
    assert len(made["activity"]) < 10
    history = made["entity"]["run:fit-1-history"]
    last = row(path, "SELECT * FROM epoch ORDER BY epoch DESC LIMIT 1")
    assert float(history["metric:loss"]["$"]) == last["loss"]
    assert history["kp:epochs"] == {"$": "1001", "type": "xsd:int"}


def test_the_document_holds_what_the_database_holds(digits: Path) -> None:
    document = json.loads(next((digits.parent / "kerasprov-prov").glob("*.json")).read_text())
    epochs = rows(digits, "SELECT * FROM epoch ORDER BY epoch")
    for epoch in epochs:
        metrics = document["entity"][f"run:fit-1-epoch-{epoch['epoch']}-metrics"]
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert float(metrics[f"metric:{name}"]["$"]) == epoch[name]
    run = row(digits, "SELECT * FROM run")
    fit = document["activity"]["run:fit-1"]
    assert fit["prov:startTime"] == run["started_at"] and fit["prov:endTime"] == run["ended_at"]
    rate = document["entity"]["run:compile-1-learning_rate"]
    assert rate["mls:hasValue"] == {"$": "0.003", "type": "xsd:double"}
    evaluation = row(digits, "SELECT * FROM evaluation")
    tested = document["entity"]["run:evaluate-1-metrics"]
    assert float(tested["metric:accuracy"]["$"]) == evaluation["accuracy"]
    script = document["entity"]["run:script"]
    assert script["prov:location"] == row(digits, "SELECT script FROM execution")["script"]
    uses = [(u["prov:activity"], u["prov:entity"]) for u in document["used"].values()]
    assert ("run:fit-1", "run:data-1") in uses and ("run:evaluate-1", "run:model-2") in uses
    model = document["entity"]["run:model-2"]
    for term, role in (("fair4ml:trainedOn", "training"), ("mlso:trainedOn", "training"),
                       ("fair4ml:testedOn", "test")):  # fmt: skip
        told = model[term]["$"]
        used = {
            use["prov:entity"]
            for use in document["used"].values()
            if use.get("prov:role", {}).get("$") == f"kp:{role}_data"
        }
        assert used == {told}
    assert "fair4ml:trainedOn" not in document["entity"]["run:model-1"]


def test_changes_are_activities_that_revise_a_setting(programs: dict[str, Path]) -> None:
    path = programs["changes and checkpoints"]
    changes = rows(path, "SELECT * FROM change ORDER BY position")
    with document(path) as made:
        text = json.loads(documents.text(made, "json"))
    assert len(changes) == 5
    for change in changes:
        name = f"run:fit-1-change-{change['position']}"
        setting = text["entity"][f"{name}-learning_rate"]
        assert float(setting["mls:hasValue"]["$"]) == change["new"]
    revised = [one["prov:usedEntity"] for one in text["wasDerivedFrom"].values()
               if "change-" in one["prov:generatedEntity"]]  # fmt: skip
    assert revised[1:] == [f"run:fit-1-change-{c['position']}-learning_rate" for c in changes[:-1]]


def test_how_things_ended_is_told(programs: dict[str, Path]) -> None:
    told = {}
    for name in ("plain", "exception", "failing fit", "killed"):
        with document(programs[name]) as made:
            activities = json.loads(documents.text(made, "json"))["activity"]
        told[name] = [
            activities.get(f"run:{one}", {}).get("kp:status") for one in ("execution", "fit-1")
        ]
    assert told == {
        "plain": ["finished", "finished"],
        "exception": ["failed", "finished"],
        "failing fit": ["failed", "failed"],
        "killed": ["lost", "lost"],
    }


def test_a_document_of_a_training_that_still_goes(tmp_path: Path, check_prov: Check) -> None:
    script = (
        TINY
        + """
import time
class Slow(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.2)
model.fit(x, y, epochs=1000, verbose=0, callbacks=[Slow()])
"""
    )
    (tmp_path / "train.py").write_text(script)
    command = [sys.executable, "-m", "kerasprov_agent", "train.py"]
    child = subprocess.Popen(
        command, cwd=tmp_path, env=clean_environment(), stderr=subprocess.DEVNULL
    )
    path = tmp_path / "kerasprov.db"
    try:
        for _ in range(600):
            if path.exists() and is_under_way(path):
                break
            time.sleep(0.2)
        files = [write(path, tmp_path / f"doc.{format_}") for format_ in ("json", "provn", "ttl")]
        assert '"kp:status": "running"' in files[0].read_text()
        check_prov(*files)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()


def is_under_way(path: Path) -> bool:
    try:
        return bool(rows(path, "SELECT 1 FROM epoch WHERE epoch >= 1"))
    except Exception:
        return False


@pytest.mark.slow
def test_no_document_when_told_off(tmp_path: Path) -> None:
    done = recorded(tmp_path, TINY + "model.fit(x, y, verbose=0)", "--prov", "off")
    assert done.returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kerasprov.db", "train.py"]


def test_a_document_that_can_not_be_written_leaves_nothing_half(tmp_path: Path) -> None:
    def failing(stream: Any) -> None:
        stream.write("half")
        raise OSError("no more")

    target = tmp_path / "doc.json"
    target.write_text("whole")
    with pytest.raises(OSError):
        documents.replace_file(str(target), failing)
    assert target.read_text() == "whole" and list(tmp_path.iterdir()) == [target]


def test_the_automatic_document_needs_the_standard_library_alone(tmp_path: Path) -> None:
    script = TINY + "model.fit(x, y, verbose=0)\nimport sys, atexit\n" + (
        "before = set(sys.modules)\n"
        "atexit._clear if False else None\n"
        "import kerasprov_agent; kerasprov_agent.stop()\n"
        "print(sorted({n.partition('.')[0] for n in set(sys.modules) - before}))"
    )  # fmt: skip
    done = recorded(tmp_path, script)
    assert list((tmp_path / "kerasprov-prov").glob("*.json"))
    loaded = done.stdout.decode()
    assert not any(name in loaded for name in ("rdflib", "lxml", "'prov'", "networkx", "rich"))
