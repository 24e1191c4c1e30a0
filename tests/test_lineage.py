"""From a model file back to its raw data, across programs, places and names."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kerasprov_agent.cli import main
from kerasprov_agent.read.lineage import Lineage
from kerasprov_agent.read.record import open_record
from tests.conftest import SHARED, python, recorded, rows

FLOWERS = SHARED / "data" / "flowers17"

PREPARE = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image

root = Path(sys.argv[1])
Path("readme.txt").read_text()  # read, and fed to nothing
paths = sorted(root.glob("*/*.jpg"))[::4]
images = np.stack([np.asarray(Image.open(path).convert("RGB").resize((32, 32))) for path in paths])
labels = np.array([int(path.parent.name[:2]) for path in paths])
order = np.random.default_rng(0).permutation(len(paths))
for name, part in ("train", order[:200]), ("tune", order[200:280]), ("test", order[280:]):
    np.savez_compressed(f"{name}.npz", x=images[part], y=labels[part])
    Path(f"{name}.txt").write_text("\\n".join(str(paths[i]) for i in part))
"""
TRAIN = """
import keras, numpy as np
from keras import layers

open("notes.csv").read()  # read, and fed to nothing
def load(path):
    found = np.load(path)
    return found["x"].astype("float32") / 255, found["y"]
x, y = load("train.npz")
model = keras.Sequential([
    keras.Input((32, 32, 3)), layers.Conv2D(8, 5, strides=2, activation="relu"),
    layers.MaxPooling2D(), layers.Flatten(), layers.Dense(17, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=2, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint("best.keras")])
model.save("model.keras")
"""
TUNE = """
import keras, numpy as np
model = keras.models.load_model("renamed.keras")
model.compile(keras.optimizers.SGD(0.001), "sparse_categorical_crossentropy")
tune, test = np.load("../tune.npz"), np.load("../test.npz")
model.fit(tune["x"] / 255.0, tune["y"], epochs=1, verbose=0)
model.evaluate(test["x"] / 255.0, test["y"], verbose=0)
model.save("tuned.keras")
"""


def kerasprov(*words: str | Path) -> str:
    """What the command prints."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three programs: one prepares images, one trains, one goes on with a renamed model."""
    if not FLOWERS.exists():
        pytest.skip("needs the Oxford 17 flowers")
    pytest.importorskip("PIL")
    place = tmp_path_factory.mktemp("pipeline")
    (place / "readme.txt").write_text("about the data\n")
    (place / "notes.csv").write_text("a,b\n1,2\n")
    (place / "prepare.py").write_text(PREPARE)
    words = ("-m", "kerasprov_agent", "prepare.py", FLOWERS)
    done = python(*words, directory=place)
    assert done.returncode == 0, done.stderr.decode()
    done = recorded(place, TRAIN)
    assert done.returncode == 0, done.stderr.decode()
    tuning = place / "tuning"
    tuning.mkdir()
    (place / "model.keras").rename(tuning / "renamed.keras")
    done = recorded(tuning, TUNE, name="tune.py", KERASPROV_DB=str(place / "kerasprov.db"))
    assert done.returncode == 0, done.stderr.decode()
    return place


def listed(place: Path, *names: str) -> set[str]:
    return {line for name in names for line in (place / f"{name}.txt").read_text().split("\n")}


def same_pictures(paths: set[str]) -> set[str]:
    """These files, and those that hold the same: by what they hold they can't be told apart."""
    contents = {Path(path).read_bytes() for path in paths}
    return {str(p) for p in FLOWERS.glob("*/*.jpg") if p.read_bytes() in contents}


ANCESTORS = """
WITH RECURSIVE ancestor (id) AS (
    SELECT entity_id FROM file WHERE sha256 = :sha256
    UNION
    SELECT l.source_id FROM lineage l JOIN ancestor a ON a.id = l.id
    WHERE l.confidence <> 'read_before'
)
SELECT m.directory || '/' || m.path FROM members m JOIN ancestor a ON a.id = m.set_id
"""
SPARQL = """
SELECT DISTINCT ?directory ?member WHERE {
    ?content schema:sha256 "%s" .
    ?content (^prov:specializationOf | prov:specializationOf | prov:wasDerivedFrom
              | (prov:qualifiedDerivation | prov:qualifiedRevision)/prov:entity)* ?set .
    ?set kp:member ?member ; prov:atLocation ?directory .
}
"""


CHECKPOINTS = """
import keras, numpy as np
np.savez("data.npz", x=np.random.rand(64, 4), y=np.random.rand(64))
data = np.load("data.npz")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
saving = keras.callbacks.ModelCheckpoint("ck-{epoch}.keras")
model.fit(data["x"], data["y"], epochs=4, verbose=0, callbacks=[saving])
model.fit(data["x"], data["y"], epochs=2, verbose=0)
model.save("final.keras")
tuned = keras.models.load_model("ck-2.keras")
tuned.fit(data["x"], data["y"], epochs=1, verbose=0)
tuned.save("tuned.keras")
"""


def test_the_states_of_a_model_in_one_run_are_one(tmp_path: Path) -> None:
    done = recorded(tmp_path, CHECKPOINTS, name="checkpoints.py")
    assert done.returncode == 0, done.stderr.decode()

    def tree(*words: str) -> str:
        return kerasprov("lineage", *words, "--db", tmp_path / "kerasprov.db")

    back = tree(str(tmp_path / "final.keras"), "--back")
    assert back.count("run 1") == back.count("run 2") == 1 and "run 3" not in back
    forward = tree("1", "--forward")
    assert [f"ck-{epoch}.keras" in forward for epoch in range(1, 5)] == [True] * 4
    assert "tuned.keras" in forward and "final.keras" in forward
    of_data = tree(str(tmp_path / "data.npz"), "--forward")
    # Run 2 came of the data and of run 1's model, run 3 of the data and of a checkpoint.
    assert [of_data.count(f"run {number} ") for number in (1, 2, 3)] == [1, 2, 2]
    with open_record(str(tmp_path / "kerasprov.db")) as record:
        lineage = Lineage(record)
        everything = lineage.reach(lineage.find(str(tmp_path / "data.npz")), "forward")
        for one in everything:  # both ways it is the same relation
            for other in lineage.steps(one, "forward"):
                assert one in lineage.steps(other, "back")
            for other in lineage.steps(one, "back"):
                assert one in lineage.steps(other, "forward")


def test_which_images_led_to_this_model_file(pipeline: Path, tmp_path: Path) -> None:
    database = pipeline / "kerasprov.db"
    model = pipeline / "tuning" / "tuned.keras"
    expected = listed(pipeline, "train", "tune")
    by_command = set(kerasprov("lineage", model, "--files", "--db", database).split())
    assert expected <= by_command <= same_pictures(expected)
    assert not by_command & (listed(pipeline, "test") - same_pictures(expected))

    (digest,) = {
        row["sha256"]
        for row in rows(database, "SELECT sha256 FROM files WHERE path LIKE '%tuned.keras'")
    }
    with closing(sqlite3.connect(database)) as connection:
        by_sql = {path for (path,) in connection.execute(ANCESTORS, {"sha256": digest})}
    assert by_sql == by_command

    rdflib = pytest.importorskip("rdflib")
    graph = rdflib.Graph()
    for name in ("prepare", "train", "tune"):
        text = kerasprov("prov", name, "--execution", "--format", "ttl", "--db", database)
        graph.parse(data=text, format="turtle")
    prefixes = {
        "prov": "http://www.w3.org/ns/prov#",
        "schema": "https://schema.org/",
        "kp": "https://w3id.org/kerasprov/ns#",
    }
    found = graph.query(SPARQL % digest, initNs=prefixes)
    by_sparql = {f"{row.directory}/{row.member}" for row in found}
    assert by_sparql == by_command


def test_the_path_tells_of_code_and_settings(pipeline: Path) -> None:
    database, model = pipeline / "kerasprov.db", pipeline / "tuning" / "tuned.keras"
    told = kerasprov("lineage", model, "--back", "--db", database)
    for expected in (
        "SGD, learning rate 0.001", "Adam, learning rate 0.001", "prepare.py", "train.py",
        "tune.py", "tune.npz", "train.npz", "load in tune.py",
    ):  # fmt: skip
        assert expected in told, told
    assert "notes.csv" not in told and "readme.txt" not in told and "test.npz" not in told
    graph = json.loads(kerasprov("lineage", model, "--format", "json", "--back", "--db", database))
    files = {Path(node["path"]).name for node in graph["nodes"] if node["kind"] == "file"}
    assert {"renamed.keras", "model.keras", "train.npz", "tune.npz"} <= files
    programs = {
        Path(node["made_by"]["program"]["script"]).name
        for node in graph["nodes"]
        if node["made_by"]
    }
    assert programs == {"prepare.py", "train.py", "tune.py"}


def test_a_file_that_fed_nothing_is_no_ancestor(pipeline: Path) -> None:
    database, model = pipeline / "kerasprov.db", pipeline / "tuning" / "tuned.keras"
    assert any(
        row["path"].endswith("notes.csv") for row in rows(database, "SELECT path FROM files")
    )
    for words in ((), ("--all",)):
        told = kerasprov("lineage", model, "--back", "--db", database, *words)
        assert "notes.csv" not in told and "readme.txt" not in told


def test_forward_from_the_raw_data(pipeline: Path) -> None:
    database = pipeline / "kerasprov.db"
    told = kerasprov("lineage", pipeline / "train.npz", "--forward", "--db", database)
    for expected in ("run 1", "run 2", "best.keras", "tuned.keras", "evaluate in tune.py"):
        assert expected in told, told


def test_each_document_is_valid(pipeline: Path, check_prov: Callable[..., None]) -> None:
    documents = [*(pipeline / "kerasprov-prov").glob("*.json")]
    documents += [*(pipeline / "tuning").glob("*.json")]
    assert len(documents) == 3
    for path in documents:
        check_prov(path)


def test_a_model_that_was_copied_to_another_machine(pipeline: Path, tmp_path: Path) -> None:
    """Another database, another place, another name: by content it is the same model."""
    copy = tmp_path / "from-a-friend.keras"
    copy.write_bytes((pipeline / "tuning" / "tuned.keras").read_bytes())
    told = kerasprov("lineage", copy, "--back", "--db", pipeline / "kerasprov.db")
    assert "tuned.keras" in told and "run 2" in told


@pytest.mark.parametrize("form", ["dot", "svg", "png"])
def test_pictures(pipeline: Path, tmp_path: Path, form: str) -> None:
    import shutil

    if form != "dot" and shutil.which("dot") is None:
        pytest.skip("needs Graphviz")
    target = tmp_path / f"lineage.{form}"
    kerasprov("lineage", "last", "--format", form, "-o", target, "--db", pipeline / "kerasprov.db")
    begin = {"dot": b"digraph", "svg": b"<?xml", "png": b"\x89PNG"}[form]
    assert target.read_bytes().startswith(begin)


def test_what_is_not_recorded_is_said_in_one_line(pipeline: Path) -> None:
    words = ["lineage", "nowhere.keras", "--db", str(pipeline / "kerasprov.db")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert "nowhere.keras" in done.stderr


def origins(database: Path) -> list[tuple[Any, ...]]:
    """Which file each data set came from, and how that is known."""
    query = (
        "SELECT e.name, f.path, d.confidence FROM derived d JOIN entity e ON e.id = d.entity_id "
        "JOIN file f ON f.entity_id = d.source_id WHERE e.kind = 'dataset' ORDER BY e.id, f.path"
    )
    return [
        (row["name"], os.path.basename(row["path"]), row["confidence"])
        for row in rows(database, query)
    ]
