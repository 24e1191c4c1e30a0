"""What TensorBoard, CSVLogger and MLflow wrote themselves becomes runs."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import kerasprov_agent
from tests.conftest import kerasprov, python, rows

TRAINING = """
import json, keras, numpy as np
x = np.linspace(0, 1, 64, dtype="float32").reshape(16, 4)
y = (x.sum(1) > 2).astype("float32")
def model():
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid")])
    made.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return made
csv = keras.callbacks.CSVLogger("log.csv", append=True)
histories = []
for name, epochs in (("a", 3), ("b", 2)):
    callbacks = [csv]
    if keras.backend.backend() == "tensorflow":
        callbacks.append(keras.callbacks.TensorBoard(f"logs/{name}", update_freq="epoch"))
    fit = model().fit(x, y, epochs=epochs, validation_split=0.25, verbose=0, callbacks=callbacks)
    histories.append(fit.history)
json.dump(histories, open("histories.json", "w"))
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trackers")
    (directory / "train.py").write_text(TRAINING)
    done = python("train.py", directory=directory)
    assert done.returncode == 0, done.stderr.decode()
    return directory


def imported(database: Path, *files: Path) -> list[dict[str, Any]]:
    done = kerasprov("import", *files, "--json", "--db", database)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert {one["outcome"] for one in found} == {"new"}
    again = json.loads(kerasprov("import", *files, "--json", "--db", database).stdout)
    assert {one["outcome"] for one in again} == {"known already"}
    return found


def same_curves(database: Path, histories: list[dict[str, list[float]]], ratio: float) -> None:
    kp = kerasprov_agent.open(database)
    for run, history in enumerate(histories, 1):
        epochs = kp.run(run).epochs
        for name, values in history.items():
            assert [row[name] for row in epochs] == pytest.approx(values, rel=ratio), name


def test_csv_logger(trained: Path, tmp_path: Path) -> None:
    database = tmp_path / "k.db"
    found = imported(database, trained / "log.csv")
    assert [one["epochs"] for one in found] == [3, 2]
    same_curves(database, json.loads((trained / "histories.json").read_text()), 1e-12)
    runs = rows(database, "SELECT * FROM runs ORDER BY run")
    assert [run["name"] for run in runs] == [
        "trackers0",
        "trackers0-2",
    ]  # of the folder: `log` says nothing
    # The file does not tell when, with what, or whether fit ended.
    assert {(r["status"], r["started_at"], r["optimizer"], r["epochs"]) for r in runs} == {
        (None, None, None, None)
    }


def test_a_log_that_has_grown_adds_its_epochs(trained: Path, tmp_path: Path) -> None:
    lines = (trained / "log.csv").read_text().splitlines(keepends=True)
    path, database = tmp_path / "log.csv", tmp_path / "k.db"
    path.write_text("".join(lines[:3]))
    imported(database, path)
    path.write_text("".join(lines[:4]))
    (told,) = json.loads(kerasprov("import", path, "--json", "--db", database).stdout)
    assert (told["outcome"], told["epochs"]) == ("more epochs", 3)
    assert rows(database, "SELECT epochs_finished FROM runs") == [{"epochs_finished": 3}]


def test_a_broken_line_is_named(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text((trained / "log.csv").read_text() + "7,0.5\n")
    (_, second) = imported(tmp_path / "k.db", path)
    assert second["left_out"] == "line 7, 2 values: 5 columns are named"


def test_tensorboard(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    if not (trained / "logs").exists():
        pytest.skip("Keras' TensorBoard callback needs TensorFlow")
    database = tmp_path / "k.db"
    found = imported(database, trained / "logs")
    assert [(one["name"], one["epochs"]) for one in found] == [("a", 3), ("b", 2)]
    histories = json.loads((trained / "histories.json").read_text())
    same_curves(database, histories, 1e-6)  # TensorBoard keeps 32 bits
    (run, _) = rows(database, "SELECT * FROM runs ORDER BY run")
    assert run["imported_from"] == "TensorBoard" and run["started_at"] and run["status"] is None
    assert "evaluation_loss_vs_iterations" in found[0]["left_out"]


def test_hparams(tmp_path: Path) -> None:
    metadata = pytest.importorskip("tensorboard.plugins.hparams.metadata")
    # What hp.hparams(...) and hp.KerasCallback write.
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.plugins.hparams import plugin_data_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    start = plugin_data_pb2.SessionStartInfo(start_time_secs=1_700_000_000.0)
    start.hparams["optimizer"].string_value = "sgd"
    start.hparams["batch_size"].number_value = 32
    start.hparams["shuffle"].bool_value = True
    end = plugin_data_pb2.SessionEndInfo(status=1, end_time_secs=1_700_000_060.0)
    writer = EventFileWriter(str(tmp_path / "logs" / "trial-1"))
    for tag, told in (
        (metadata.SESSION_START_INFO_TAG, start),
        (metadata.SESSION_END_INFO_TAG, end),
    ):
        data = plugin_data_pb2.HParamsPluginData(version=0)
        field = "session_start_info" if told is start else "session_end_info"
        getattr(data, field).CopyFrom(told)
        summary = summary_pb2.Summary(
            value=[
                summary_pb2.Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(data))
            ]
        )
        writer.add_event(event_pb2.Event(wall_time=1_700_000_000.0, step=0, summary=summary))
    for step in range(2):
        value = summary_pb2.Summary.Value(tag="epoch_loss", simple_value=1.0 / (step + 1))
        summary = summary_pb2.Summary(value=[value])
        writer.add_event(event_pb2.Event(wall_time=1_700_000_001.0, step=step, summary=summary))
    value = summary_pb2.Summary.Value(tag="accuracy", simple_value=0.5)  # of a test, told once
    summary = summary_pb2.Summary(value=[value])
    writer.add_event(event_pb2.Event(wall_time=1_700_000_002.0, step=1, summary=summary))
    writer.close()
    database = tmp_path / "k.db"
    imported(database, tmp_path / "logs")
    (run,) = rows(database, "SELECT * FROM runs")
    assert (run["name"], run["optimizer"], run["batch_size"]) == ("trial-1", "SGD", 32)
    assert (run["status"], run["seconds"]) == ("finished", pytest.approx(60, abs=0.01))
    params = rows(database, "SELECT name, value FROM params ORDER BY name")
    assert {p["name"]: p["value"] for p in params} == {
        "batch_size": 32, "optimizer": "sgd", "shuffle": 1,
    }  # fmt: skip
    assert [e["loss"] for e in rows(database, "SELECT loss FROM epochs")] == [1.0, 0.5]
    assert rows(database, "SELECT accuracy FROM evaluations") == [{"accuracy": 0.5}]


MLFLOW = """
import math, mlflow, sys
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("flowers")
with mlflow.start_run(run_name="first"):
    mlflow.log_params({"opt_name": "adam", "opt_learning_rate": 0.01, "batch_size": 32})
    mlflow.set_tag("purpose", "paper")
    for epoch in range(3):
        validation = math.nan if epoch == 1 else 2 / (epoch + 1)
        mlflow.log_metrics({"loss": 1 / (epoch + 1), "val_loss": validation}, step=epoch)
    with mlflow.start_run(run_name="child", nested=True):
        mlflow.log_metric("top/k", 1.0)
with mlflow.start_run(run_name="gone") as gone:
    pass
mlflow.delete_run(gone.info.run_id)
try:
    with mlflow.start_run(run_name="failing"):
        raise ValueError
except ValueError:
    pass
"""


@pytest.mark.parametrize("kind", ["database", "folder"])
def test_mlflow(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy" if kind == "database" else "yaml")
    source = tmp_path / ("m.db" if kind == "database" else "mlruns")
    uri = f"sqlite:///{source}" if kind == "database" else source.as_uri()
    (tmp_path / "log.py").write_text(MLFLOW)
    allowed = {"MLFLOW_ALLOW_FILE_STORE": "true"}
    done = python("log.py", uri, directory=tmp_path, variables=allowed)
    assert done.returncode == 0, done.stderr.decode()
    database = tmp_path / "k.db"
    found = imported(database, source)
    assert {one["name"] for one in found} == {"first", "child", "failing"}
    kp = kerasprov_agent.open(database)
    first, child = kp.run("first"), kp.run("child")
    assert (first.optimizer, first.learning_rate, first.batch_size) == ("Adam", 0.01, 32)
    assert (first.status, kp.run("failing").status) == ("finished", "failed")
    assert first.seconds > 0 and first.imported_from == "MLflow"
    assert json.loads(first.tags) == {"purpose": "paper", "experiment": "flowers"}
    assert [row["loss"] for row in first.epochs] == pytest.approx([1, 1 / 2, 1 / 3])
    assert [math.isnan(row["val_loss"]) for row in first.epochs] == [False, True, False]
    assert child.evaluations[0]["top/k"] == 1.0 and not child.epochs  # logged once: a result
    (parent,) = rows(database, "SELECT parent_id FROM run WHERE id = ?", child.id)
    assert parent["parent_id"] == first.id


def test_a_database_of_something_else_is_not_imported(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    (tmp_path / "folder").mkdir()
    for name in ("other.db", "folder", "missing"):
        done = kerasprov("import", tmp_path / name, "--db", tmp_path / "k.db")
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1) and name in done.stderr
    assert not (tmp_path / "k.db").exists()
