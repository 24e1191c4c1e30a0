"""Files as people have them: folders that are used again, tables that were pasted, broken stores."""

from __future__ import annotations

import gzip
import json
import math
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import kerasprov_agent
from tests.conftest import kerasprov, python, rows
from tests.exchange import ancestors


def taken(database: Path, *files: Path) -> list[dict[str, Any]]:
    """What an import tells of each thing that it found."""
    done = kerasprov("import", *files, "--json", "--db", database)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def losses(database: Path) -> list[list[float | None]]:
    """The losses of the runs, in the order of their first."""
    kp = kerasprov_agent.open(database)
    runs = [[row.get("loss") for row in kp.run(one["run"]).epochs] for one in kp.runs()]
    return sorted(runs, key=lambda run: str(run))


def events(folder: Path, values: dict[str, list[tuple[int, float]]], began: float) -> Path:
    """Write an event file with TensorBoard's own writer; an epoch takes ten seconds."""
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    before = set(folder.glob("*tfevents*"))
    writer = EventFileWriter(str(folder), filename_suffix=f".{len(before)}.v2")
    for place in range(max(map(len, values.values()))):
        for tag, points in values.items():
            if place < len(points):
                step, value = points[place]
                summary = summary_pb2.Summary(
                    value=[summary_pb2.Summary.Value(tag=tag, simple_value=value)]
                )
                at = began + 10 * place
                writer.add_event(event_pb2.Event(wall_time=at, step=step, summary=summary))
    writer.close()
    (path,) = set(folder.glob("*tfevents*")) - before
    return path


def numbered(*values: float) -> list[tuple[int, float]]:
    return list(enumerate(values))


BEGAN = 1_700_000_000.0


@pytest.fixture
def reused(tmp_path: Path) -> Path:
    """A folder into which two trainings wrote one after the other."""
    logs = tmp_path / "logs"
    for began, train in ((BEGAN, (1.0, 0.9, 0.8)), (BEGAN + 86400, (10.0, 9.9))):
        events(logs / "train", {"epoch_loss": numbered(*train)}, began)
        doubled = [2 * value for value in train]
        events(logs / "validation", {"epoch_loss": numbered(*doubled)}, began + 1)
    return logs


@pytest.mark.parametrize("order", ["together", "one by one", "backwards"])
def test_a_folder_that_was_used_again_has_several_trainings(
    reused: Path, tmp_path: Path, order: str
) -> None:
    database = tmp_path / "k.db"
    files = sorted(reused.rglob("*tfevents*"))
    if order != "together":
        for file in files if order == "one by one" else files[::-1]:
            taken(database, file)
        if order == "backwards":  # the first run is validation by itself
            assert kerasprov("note", "1", "noted before", "--db", database).exit_code == 0
    found = taken(database, reused)
    assert sorted(one["epochs"] for one in found) == [2, 3]
    assert {one["outcome"] for one in taken(database, reused)} == {"known already"}
    for file in files:  # a part tells nothing new
        assert {one["outcome"] for one in taken(database, file)} == {"known already"}
    notes = {run["note"] for run in kerasprov_agent.open(database).runs()}
    assert notes == ({"noted before"} if order == "backwards" else {None}) | {None}
    kp = kerasprov_agent.open(database)
    runs = {run["epochs_finished"]: kp.run(run["run"]).epochs for run in kp.runs()}
    assert len(kp.runs()) == 2
    assert [row["loss"] for row in runs[3]] == pytest.approx([1.0, 0.9, 0.8])
    assert [row["val_loss"] for row in runs[3]] == pytest.approx([2.0, 1.8, 1.6])
    assert [row["val_loss"] for row in runs[2]] == pytest.approx([20.0, 19.8])


def test_two_trainings_in_one_file(tmp_path: Path) -> None:
    events(
        tmp_path / "logs",
        {"epoch_loss": [*numbered(1.0, 0.9, 0.8), *numbered(10.0, 9.9)]},
        BEGAN,
    )
    database = tmp_path / "k.db"
    assert sorted(one["epochs"] for one in taken(database, tmp_path / "logs")) == [2, 3]
    assert {one["outcome"] for one in taken(database, tmp_path / "logs")} == {"known already"}
    assert losses(database) == [pytest.approx([1.0, 0.9, 0.8]), pytest.approx([10.0, 9.9])]


def test_a_training_that_was_resumed_is_one(tmp_path: Path) -> None:
    events(tmp_path / "logs/train", {"epoch_loss": numbered(1.0, 0.9)}, BEGAN)
    events(tmp_path / "logs/train", {"epoch_loss": [(2, 0.8), (3, 0.7)]}, BEGAN + 5000)
    (found,) = taken(tmp_path / "k.db", tmp_path / "logs")
    assert found["epochs"] == 4


def test_times_rates_and_scalars_of_the_users_own(tmp_path: Path) -> None:
    logs = tmp_path / "x"
    rate = float.fromhex("0x1.0624dep-10")  # 0.001 of 32 bits
    events(
        logs / "train",
        {
            "epoch_loss": numbered(1.0, 0.9, 0.8),
            "epoch_lr": numbered(rate, rate, rate / 2),
            "batch_loss": [(i, 1.0) for i in range(3)],
        },
        BEGAN,
    )
    events(logs / "metrics", {"gradient norm": numbered(3.0, 2.0, 1.0)}, BEGAN)
    events(logs / "test", {"epoch_accuracy": numbered(0.1, 0.2, 0.3), "final": [(0, 0.5)]}, BEGAN)
    database = tmp_path / "k.db"
    (found,) = taken(database, logs)
    assert found["left_out"] == "not by epoch: batch_loss, 3 points"
    run = kerasprov_agent.open(database).run("x")
    assert [row["learning_rate"] for row in run.epochs] == [0.001, 0.001, 0.0005]
    assert [(row["epoch"], row["old"], row["new"]) for row in run.changes] == [(2, 0.001, 0.0005)]
    assert run.learning_rate == 0.001 and "lr" not in run.epochs[0]
    assert [row["gradient norm"] for row in run.epochs] == [3.0, 2.0, 1.0]
    assert [row["test_accuracy"] for row in run.epochs] == pytest.approx([0.1, 0.2, 0.3])
    assert [row["seconds"] for row in run.epochs] == [None, 10.0, 10.0]
    assert run.ended_at.startswith("2023-11-14T22:13:40")
    assert [row["test_final"] for row in run.evaluations] == [0.5]
    source = rows(database, "SELECT repairs FROM imports")[0]["repairs"]
    assert "times of epochs are those between their points" in source


def test_what_is_no_scalar_and_what_came_twice_is_listed(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    script = """
import tensorflow as tf
writer = tf.summary.create_file_writer("logs")
with writer.as_default():
    for step in range(3):
        tf.summary.scalar("epoch_loss", 1.0 / (step + 1), step=step)
        tf.summary.scalar("epoch_loss", 2.0 / (step + 1), step=step)
    tf.summary.histogram("kernel", [1.0, 2.0], step=0)
writer = tf.summary.create_file_writer("texts")
with writer.as_default():
    tf.summary.text("words", "so it is", step=0)
"""
    (tmp_path / "write.py").write_text(script)
    assert python("write.py", directory=tmp_path).returncode == 0
    found = {one["outcome"]: one for one in taken(tmp_path / "k.db", tmp_path)}
    left_out = found["new"]["left_out"]
    assert left_out == "3 earlier values of the same epochs; no scalars: kernel"
    assert found["not read"]["left_out"] == "it has no scalars"
    assert kerasprov_agent.open(tmp_path / "k.db").run(1).epochs[0]["loss"] == 2.0


def test_validation_by_itself(tmp_path: Path) -> None:
    events(tmp_path / "r/validation", {"epoch_loss": numbered(1.0, 0.9)}, BEGAN)
    database = tmp_path / "k.db"
    taken(database, next((tmp_path / "r/validation").iterdir()))
    epochs = kerasprov_agent.open(database).run("r").epochs
    assert [row["val_loss"] for row in epochs] == pytest.approx([1.0, 0.9])


def test_damaged_event_files_are_told(tmp_path: Path) -> None:
    whole = events(tmp_path / "whole", {"epoch_loss": numbered(1.0, 0.9, 0.8)}, BEGAN)
    content = whole.read_bytes()
    spoilt = {
        "cut": content[:-20],
        "empty": b"",
        "packed": gzip.compress(content),
        "damaged": content[:-60] + b"\xff" * 40 + content[-20:],
    }
    for name, text in spoilt.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / whole.name).write_bytes(text)
    database = tmp_path / "k.db"
    found = {Path(str(one["name"]).partition("/events")[0]).name: one
             for one in taken(database, tmp_path)}  # fmt: skip
    assert found["whole"]["epochs"] == 3 and found["whole"]["left_out"] is None
    assert found["cut"]["epochs"] == 2 and "breaks off or is damaged" in found["cut"]["left_out"]
    assert "breaks off or is damaged" in found["damaged"]["left_out"]
    assert found["empty"]["outcome"] == "not read" and "empty" in found["empty"]["left_out"]
    assert "gunzip" in found["packed"]["left_out"]
    listed = rows(database, "SELECT left_out FROM imports WHERE left_out LIKE '%gunzip%'")
    assert len(listed) == 1
    told = kerasprov("import", tmp_path, "--db", database).stdout
    assert "Left out: 4; the reasons are above" in told


def test_event_files_are_read_without_tensorflow(tmp_path: Path) -> None:
    events(tmp_path / "logs", {"epoch_loss": numbered(1.0)}, BEGAN)
    script = (
        "import sys\nfrom kerasprov_agent.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    (tmp_path / "look.py").write_text(script)
    done = python("look.py", "import", "logs", "--db", "k.db", directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "1 runs with 1 epochs" in done.stdout.decode()


DIALECTS = {
    "with a mark": "\ufeffepoch,loss,val_loss\n0,1.0,2.0\n1,0.5,1.5\n",
    "decimal commas": "epoch;loss;val_loss\n0;1,0;2,0\n1;0,5;1,5\n",
    "blanks": "epoch, loss, val_loss\n0, 1.0, 2.0\n1, 0.5, 1.5\n",
    "quoted": '"epoch","loss","val_loss"\n"0","1.0","2.0"\n"1","0.5","1.5"\n',
    "another case, another place": "loss,Epoch,val_loss\n1.0,0,2.0\n0.5,1,1.5\n",
    "a title": "My training\nepoch,loss,val_loss\n0,1.0,2.0\n1,0.5,1.5\n",
    "tensors": 'epoch,loss,val_loss\n0,"tf.Tensor(1.0, shape=(), dtype=float32)",np.float32(2.0)\n'
    "1,[0.5],array(1.5)\n",
    "bare tensors": "epoch,loss,val_loss\n0,tf.Tensor(1.0, shape=(), dtype=float32),2.0\n"
    "1,tf.Tensor(0.5, shape=(), dtype=float32),1.5\n",
    "pandas with an index": ",loss,val_loss\n0,1.0,2.0\n1,0.5,1.5\n",
    "pandas without an index": "loss,val_loss\n1.0,2.0\n0.5,1.5\n",
    "several rows an epoch": "epoch,batch,loss,val_loss\n0,0,3,\n0,1,1.0,2.0\n1,0,2,\n1,1,0.5,1.5\n",
    "W&B's history": ",_step,_runtime,_timestamp,epoch,loss,val_loss\n"
    "0,0,1.5,1700000000,0,1.0,2.0\n1,1,3.5,1700000002,1,0.5,1.5\n",
    "json": '{"loss": [1.0, 0.5], "val_loss": [2.0, 1.5]}',
    "Python": "{'loss': [1.0, 0.5], 'val_loss': [2.0, 1.5]}",
    "json of pandas": '{"loss": {"0": 1.0, "1": 0.5}, "val_loss": {"0": 2.0, "1": 1.5}}',
    "json of History": '{"history": {"loss": [1.0, 0.5], "val_loss": ["2.0", "1.5"]}, '
    '"epoch": [0, 1], "params": {"epochs": 5}}',
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects_of_tables(tmp_path: Path, dialect: str) -> None:
    path, database = tmp_path / "curves.csv", tmp_path / "k.db"
    path.write_text(DIALECTS[dialect], encoding="utf-8")
    (found,) = taken(database, path)
    assert (found["epochs"], found["outcome"]) == (2, "new")
    epochs = kerasprov_agent.open(database).run("curves").epochs
    assert [(row["epoch"], row["loss"], row["val_loss"]) for row in epochs] == [
        (0, 1.0, 2.0), (1, 0.5, 1.5),
    ]  # fmt: skip
    assert taken(database, path)[0]["outcome"] == "known already"
    if dialect == "several rows an epoch":
        assert (
            found["left_out"]
            == "batch: a counter; 2 further rows of the same epochs, before the last"
        )
    if dialect == "W&B's history":
        assert found["left_out"] == "_step: a counter of W&B's; _runtime: seconds since the start"


def test_tables_as_pandas_and_keras_write_them(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    history = {"loss": [1.0, 0.5], "accuracy": [0.1, 0.2], "val_loss": [2.0, math.nan]}
    database = tmp_path / "k.db"
    for name, options in (("with", {}), ("without", {"index": False}), ("tab", {"sep": "\t"})):
        pd.DataFrame(history).to_csv(tmp_path / f"{name}.csv", **options)
    pd.DataFrame(history).to_json(tmp_path / "frame.json")
    (tmp_path / "dumped.json").write_text(json.dumps(history))
    files = [tmp_path / name for name in ("with.csv", "without.csv", "tab.csv", "frame.json",
                                          "dumped.json")]  # fmt: skip
    assert [one["epochs"] for one in taken(database, *files)] == [2] * 5
    assert losses(database) == [[1.0, 0.5]] * 5


def test_what_is_cut_or_pasted_is_left_out_and_listed(tmp_path: Path) -> None:
    path, database = tmp_path / "a.csv", tmp_path / "k.db"
    path.write_text("epoch,loss,val_loss\n0,1.0,2.0\n1,0.5,1.2")  # 1.2 may be 1.25
    (cut,) = taken(database, path)
    assert "may be half a number" in cut["left_out"]
    assert [row.get("val_loss") for row in kerasprov_agent.open(database).run(1).epochs] == [
        2.0, None,
    ]  # fmt: skip
    # The next look has all of it: what was imported is replaced, what a person noted stays.
    kerasprov("note", "1", "good", "--db", database)
    kerasprov("rename", "1", "mine", "--db", database)
    kerasprov("tag", "1", "group=a", "--program", "--db", database)
    path.write_text(
        "epoch,loss,val_loss\n0,1.0,2.0\n1,0.5,1.25\nx,1,2\nnan,1,2\n2,0.4\n"
        "epoch,loss,accuracy\n0,7.0,0.5\n1,6.0,0.6\n"
    )
    first, second = taken(database, path)
    assert (first["outcome"], second["outcome"]) == ("changed", "new")
    assert (
        "line 4: 'x' is no epoch; line 5: 'nan' is no epoch; line 6, 2 values: 3 columns are named"
        in second["left_out"]
    )
    run = kerasprov_agent.open(database).run("mine")
    assert (run.run, run.note, json.loads(run.tags)) == (1, "good", {"group": "a"})
    assert [row["val_loss"] for row in run.epochs] == [2.0, 1.25]
    second_run = kerasprov_agent.open(database).run(2)
    assert [row["accuracy"] for row in second_run.epochs] == [0.5, 0.6]


def test_latin_letters_and_rates_and_other_names(tmp_path: Path) -> None:
    path, database = tmp_path / "training.log", tmp_path / "k.db"
    folder = tmp_path / "Versuch"
    folder.mkdir()
    path = folder / "training.log"
    path.write_bytes("epoch,acc,val_acc,lr,größe\n0,0.5,0.4,0.0010000000474974513,1\n"
                     "1,0.6,0.5,0.0005000000237487257,2\n".encode("latin-1"))  # fmt: skip
    taken(database, path)
    run = kerasprov_agent.open(database).run("Versuch")  # the file's own name says nothing
    assert [(row["accuracy"], row["val_accuracy"], row["größe"]) for row in run.epochs] == [
        (0.5, 0.4, 1), (0.6, 0.5, 2),
    ]  # fmt: skip
    assert [row["learning_rate"] for row in run.epochs] == [0.001, 0.0005]
    assert len(run.changes) == 1 and run.learning_rate == 0.001
    repairs = rows(database, "SELECT repairs FROM imports")[0]["repairs"]
    assert "acc is called accuracy" in repairs
    assert str(path) in kerasprov("show", "1", "--db", database).stdout


MLFLOW = """
import mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("flowers")
with mlflow.start_run(run_name="long"):
    mlflow.log_params({"EPOCHS": 5, "optimizer": "adam", "hidden": "64_32", "code": "00501",
                       "big": "12345678901234567890123", "dropout": 0.4, "Batch_Size": "16"})
    for step in range(167):
        mlflow.log_metric("system/cpu_utilization_percentage", 50.0, step=step)
    for step in range(50):
        mlflow.log_metric("batch_loss", 1.0, step=step)
    for epoch in range(5):
        mlflow.log_metrics({"loss": 1 / (epoch + 1), "val_acc": 0.1 * epoch, "lr": 0.01}, step=epoch)
    mlflow.log_metric("test_accuracy", 0.9)
with mlflow.start_run(run_name="results"):
    mlflow.log_params({"epochs": 10})
    mlflow.log_metrics({"accuracy": 0.9, "f1": 0.8})
with mlflow.start_run(run_name="without steps"):
    for value in (3.0, 2.0, 1.0):
        mlflow.log_metric("loss", value)
"""


@pytest.fixture(scope="module")
def mlruns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mlflow")
    pytest.importorskip("yaml")
    directory = tmp_path_factory.mktemp("project")
    (directory / "log.py").write_text(MLFLOW)
    allowed = {"MLFLOW_ALLOW_FILE_STORE": "true"}
    uri = (directory / "mlruns").as_uri()
    done = python("log.py", uri, directory=directory, variables=allowed)
    assert done.returncode == 0, done.stderr.decode()
    return directory / "mlruns"


def test_steps_of_mlflow(mlruns: Path, tmp_path: Path) -> None:
    database = tmp_path / "k.db"
    found = {one["name"]: one for one in taken(database, mlruns.parent)}  # which contains mlruns
    assert {name: (one["epochs"], one["tests"]) for name, one in found.items()} == {
        "long": (5, 1), "results": (0, 1), "without steps": (3, 0),
    }  # fmt: skip
    left_out = found["long"]["left_out"]
    assert "measurements of the machine: system/cpu_utilization_percentage" in left_out
    assert "not by epoch: batch_loss, 50 points" in left_out
    assert "no steps were given" in found["without steps"]["mended"]
    kp = kerasprov_agent.open(database)
    run = kp.run("long")
    assert (run.optimizer, run.epochs_planned, run.batch_size, run.dropout) == ("Adam", 5, 16, 0.4)
    assert (run.learning_rate, run.evaluations[0]["test_accuracy"]) == (0.01, 0.9)
    assert [row["val_accuracy"] for row in run.epochs] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    params = {row["name"]: row["value"] for row in run.params}
    assert (params["hidden"], params["code"]) == ("64_32", "00501")
    assert params["big"] == "12345678901234567890123" and params["optimizer"] == "adam"
    assert [row["loss"] for row in kp.run("without steps").epochs] == [3.0, 2.0, 1.0]
    assert {row["accuracy"] for row in kp.run("results").evaluations} == {0.9}


def test_older_and_broken_stores_of_mlflow(mlruns: Path, tmp_path: Path) -> None:
    copy, database = tmp_path / "mlruns", tmp_path / "k.db"
    shutil.copytree(mlruns, copy)
    runs = sorted(path.parent for path in copy.glob("*/*/meta.yaml"))
    names = [(run / "tags" / "mlflow.runName").read_text() for run in runs]
    for run in runs:
        lines = (run / "meta.yaml").read_text().splitlines()
        kept = [
            line.replace("run_id:", "run_uuid:")
            for line in lines
            if not line.startswith(("run_name:", "run_uuid:"))
        ]
        (run / "meta.yaml").write_text("\n".join(kept))  # as MLflow 1 wrote it
    shutil.rmtree(runs[0] / "metrics")  # git keeps no empty folders
    (runs[1] / "meta.yaml").write_text("run_uuid: [\n")
    loss = runs[2] / "metrics" / next(iter(path.name for path in (runs[2] / "metrics").iterdir()))
    loss.write_text(loss.read_text() + "17000")
    found = taken(database, copy)
    told = {one["name"]: one for one in found if one["outcome"] == "new"}
    assert set(told) == {names[0], names[2]}
    (broken,) = [one for one in found if one["outcome"] == "not read"]
    assert broken["name"] == str(runs[1]) and "is no valid YAML" in broken["left_out"]
    assert "'17000' is no point" in told[names[2]]["left_out"]


def test_an_export_to_mlflow_invents_nothing_and_is_known_again(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    database, target = tmp_path / "k.db", tmp_path / "m.db"
    (tmp_path / "a.csv").write_text("epoch,loss\n0,1.0\n1,0.5\n")
    taken(database, tmp_path / "a.csv")
    assert kerasprov("export", "--format", "mlflow", "-o", target, "--db", database).exit_code == 0
    (run,) = rows(target, "SELECT status, start_time, end_time FROM runs")
    assert run == {"status": "FINISHED", "start_time": 0, "end_time": None}
    (unknown,) = rows(target, "SELECT value FROM tags WHERE key = 'kerasprov.unknown'")
    assert unknown["value"] == "start_time, status"
    assert [one["outcome"] for one in taken(database, target)] == ["known already"]
    other = tmp_path / "other.db"
    taken(other, target)
    (again,) = rows(other, "SELECT status, started_at, ended_at, name FROM runs")
    assert again == {"status": None, "started_at": None, "ended_at": None, "name": "a"}


def test_an_mlflow_run_that_grows_is_replaced(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    source, database = tmp_path / "m.db", tmp_path / "k.db"
    client = MlflowClient(f"sqlite:///{source}")
    run = client.create_run(client.create_experiment("e"), run_name="r").info.run_id
    points = [Metric("loss", 1.0 / (i + 1), 1_700_000_000_000 + i * 1000, i) for i in range(3)]
    client.log_batch(run, metrics=points)
    assert taken(database, source)[0]["outcome"] == "new"
    later = [Metric("val_loss", 2.0, point.timestamp, point.step) for point in points]
    client.log_batch(run, metrics=later)
    assert taken(database, source)[0]["outcome"] == "changed"
    epochs = kerasprov_agent.open(database).run(1).epochs
    assert [(row["val_loss"], row["seconds"]) for row in epochs] == [
        (2.0, None), (2.0, 1.0), (2.0, 1.0),
    ]  # fmt: skip


TUNER = """
import keras, keras_tuner, numpy as np
x = np.random.rand(16, 4); y = x.sum(1)
def build(hp):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 2, 8), "relu"),
                              keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-4, 1e-2)), "mse")
    return model
tuner = keras_tuner.RandomSearch(build, objective="val_loss", max_trials=3, directory="tuning",
                                 project_name="flowers", seed=1)
tuner.search(x, y, epochs=1, validation_data=(x, y), verbose=0)
"""


@pytest.mark.slow
def test_folders_of_keras_tuner(tmp_path: Path) -> None:
    pytest.importorskip("keras_tuner")
    (tmp_path / "tune.py").write_text(TUNER)
    done = python("tune.py", directory=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "k.db"
    (found,) = taken(database, tmp_path / "tuning")
    assert (found["name"], found["trials"], found["outcome"]) == ("flowers", 3, "new")
    assert "(loss, val_loss): only their scores are taken" in found["left_out"]
    assert taken(database, tmp_path / "tuning")[0]["outcome"] == "known already"
    trials = rows(database, "SELECT * FROM trials ORDER BY score")
    files = [json.loads(path.read_text()) for path in tmp_path.glob("tuning/flowers/*/trial.json")]
    assert [one["score"] for one in trials] == sorted(one["score"] for one in files)
    assert {one["status"] for one in trials} == {"finished"}
    assert "units" in json.loads(trials[0]["hyperparameters"])
    assert kerasprov("trials", "--db", database).exit_code == 0
    assert kerasprov("prov", "--all", "--db", database).exit_code == 0


def test_a_summary_of_wandb(tmp_path: Path) -> None:
    folder = tmp_path / "run-20240101_120000-abc/files"
    folder.mkdir(parents=True)
    summary = {"loss": 0.5, "val_loss": 0.7, "epoch": 9, "_timestamp": 1_700_000_000.0,
               "_wandb": {"runtime": 3}, "examples": {"_type": "table"}}  # fmt: skip
    (folder / "wandb-summary.json").write_text(json.dumps(summary))
    database = tmp_path / "k.db"
    (found,) = taken(database, folder / "wandb-summary.json")
    assert (found["name"], found["epochs"], found["tests"]) == ("run-20240101_120000-abc", 0, 1)
    assert found["left_out"] == "epoch: a counter; _wandb: no number; examples: no number"
    (test,) = rows(database, "SELECT loss, val_loss FROM evaluations")
    assert test == {"loss": 0.5, "val_loss": 0.7}


def test_count_of_runs_beside_epochs(tmp_path: Path) -> None:
    database = tmp_path / "k.db"
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("epoch,loss\n0,1.0\n1,0.5\n")
    taken(database, tmp_path / "a.csv", tmp_path / "b.csv")
    for counted in ("runs.run", "run"):
        question = f"count({counted}), min(epochs.loss), count(epochs.loss)"
        (answer,) = json.loads(kerasprov("query", question, "--json", "--db", database).stdout)
        assert list(answer.values()) == [2, 0.5, 4]


def test_documents_of_all_imports(
    mlruns: Path, reused: Path, tmp_path: Path, check_prov: Any
) -> None:
    """They are valid; what was not timed has no time (T01)."""
    database, document = tmp_path / "k.db", tmp_path / "all.json"
    (tmp_path / "a.csv").write_text(DIALECTS["decimal commas"])
    (tmp_path / "w.csv").write_text(DIALECTS["W&B's history"])
    (tmp_path / "flowers.sql").write_text(ancestors.dump())
    (tmp_path / "digits.json").write_text(ancestors.document())
    names = ("a.csv", "w.csv", "flowers.sql", "digits.json")
    taken(database, mlruns, reused, *(tmp_path / name for name in names))
    done = kerasprov("prov", "--all", "-o", document, "--db", database)
    assert done.exit_code == 0, done.output
    check_prov(document, options=["--allow", "T01"])


def test_a_damaged_database_of_mlflow_gives_what_can_be_read(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    source, database = tmp_path / "m.db", tmp_path / "k.db"
    client = MlflowClient(f"sqlite:///{source}")
    experiment = client.create_experiment("e")
    for number in range(20):
        run = client.create_run(experiment, 1_700_000_000_000 + number, {}, f"r{number}")
        points = [
            Metric(f"m{i}", 0.5, 1_700_000_000_000, step) for i in range(9) for step in (0, 1)
        ]
        client.log_batch(run.info.run_id, metrics=points)
    content = bytearray(source.read_bytes())
    with closing(sqlite3.connect(source)) as connection:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        query = "SELECT pageno FROM dbstat WHERE name = 'metrics' AND pagetype = 'leaf'"
        try:
            pages = [page for (page,) in connection.execute(query)]
        except sqlite3.OperationalError:
            pytest.skip("needs SQLite's dbstat")
    last = pages[-1] * page_size
    content[last - page_size : last] = b"\xff" * page_size
    source.write_bytes(bytes(content))
    found = taken(database, source)
    assert any(one["outcome"] == "new" for one in found)
    (damaged,) = [one for one in found if one["outcome"] == "not read"]
    assert "it is damaged" in damaged["left_out"]
    source.write_bytes(bytes(content[:100]) + b"\xff" * 5000)
    done = kerasprov("import", source, "--db", database)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1) and "m.db" in done.stderr


def test_the_user_of_an_imported_run_is_no_machine(mlruns: Path, tmp_path: Path) -> None:
    database = tmp_path / "k.db"
    taken(database, mlruns)
    shown = kerasprov("show", "long", "--db", database).stdout
    assert re.search(r"^user ", shown, re.MULTILINE)
    assert not re.search(r"^machine ", shown, re.MULTILINE)
    assert re.search(rf"^imported +MLflow {re.escape(str(mlruns))}", shown, re.MULTILINE)


def test_the_legend_is_of_all_panels(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    database, picture = tmp_path / "k.db", tmp_path / "c.svg"
    (tmp_path / "first.csv").write_text("epoch,loss\n0,1.0\n1,0.5\n")
    (tmp_path / "second.csv").write_text("epoch,mae\n0,1.0\n1,0.5\n")
    taken(database, tmp_path / "first.csv", tmp_path / "second.csv")
    words = ("plot", "--metric", "loss", "--metric", "mae", "-o", picture, "--db", database)
    assert kerasprov(*words).exit_code == 0
    assert "first" in picture.read_text() and "second" in picture.read_text()
