"""What Keras-Prov's users asked of its tables is answered by views of the same names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED, kerasprov, needs_shared, recorded, rows

ANCESTOR = SHARED / "data" / "ancestor"
STUDY = """
import keras, numpy as np
x = np.linspace(0, 1, 160, dtype="float32").reshape(40, 4)
y = (x.sum(1) > 2).astype("int32")
halved = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
for activation, rate, metrics in (("relu", 0.1, ["accuracy"]), ("tanh", 0.2, None)):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=activation),
                              keras.layers.Dropout(0.25), keras.layers.Dense(1, "sigmoid")])
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model.compile(optimizer, "binary_crossentropy", metrics=metrics)
    model.fit(x, y, epochs=3, batch_size=8, validation_split=0.2, verbose=0,
              callbacks=[halved] if metrics else [])
model.evaluate(x, y, verbose=0)
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    assert recorded(tmp_path, STUDY, "--prov", "off", name="flowers.py").returncode == 0
    return tmp_path / "kerasprov.db"


def test_its_questions_are_answered(study: Path) -> None:
    epochs = rows(study, "SELECT * FROM ds_otrainingmodel ORDER BY id")
    ours = rows(study, "SELECT * FROM epochs ORDER BY run, epoch")
    assert [e["id"] for e in epochs] == [1, 2, 3, 4, 5, 6]
    for theirs, own in zip(epochs, ours, strict=True):
        assert theirs["trainingmodel_task_id"] == own["run"]
        assert (theirs["epoch_id"], theirs["elapsed_time"]) == (own["epoch"], own["seconds"])
        for metric in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert theirs[metric] == own[metric]
        assert theirs["otrain_timestamp"] == own["started_at"] + own["seconds"]
        assert theirs["adaptation_task_id"] == (1 if own["run"] == 1 else None)
        assert theirs["testingmodel_task_id"] == (2 if own["run"] == 2 else None)
    settings = rows(
        study,
        "SELECT optimizer_name, learning_rate, momentum, decay, num_epochs, batch_size, num_layers "
        "FROM ds_itrainingmodel ORDER BY id",
    )
    assert [tuple(s.values()) for s in settings] == [
        ("SGD", pytest.approx(0.1), pytest.approx(0.9), None, 3, 8, 3),
        ("SGD", pytest.approx(0.2), pytest.approx(0.9), None, 3, 8, 3),
    ]
    layers = rows(study, "SELECT * FROM ds_ilayers WHERE trainingmodel_task_id = 2 ORDER BY id")
    assert [(one["attribute_type"], one["value"]) for one in layers] == [
        ("activation", "tanh"), ("dropout", "0.25"), ("activation", "sigmoid"),
    ]  # fmt: skip
    adapted = rows(study, "SELECT * FROM ds_oadaptation ORDER BY id")
    assert [(a["adaptation_task_id"], a["epoch_id"], a["adaptation_id"]) for a in adapted] == [
        (1, 1, 1), (1, 2, 2),
    ]  # fmt: skip
    assert [a["new_lrate"] for a in adapted] == [pytest.approx(0.05), pytest.approx(0.025)]
    (tested,) = rows(study, "SELECT * FROM ds_otestingmodel")
    assert tested["testingmodel_task_id"] == 2 and tested["otest_loss"] > 0
    assert tested["otest_accuracy"] is None, "it was not measured"
    executions = rows(study, "SELECT * FROM dataflow_execution ORDER BY id")
    assert [e["df_id"] for e in executions] == [1, 1]
    assert executions[0]["tag"].startswith("flowers-20") and len(executions[0]["tag"]) == 34


def test_the_papers_average_time_and_best_accuracy(study: Path) -> None:
    times = rows(
        study,
        "SELECT l.value, avg(CAST(o.elapsed_time AS DOUBLE)) AS seconds, max(o.val_accuracy) AS best "
        "FROM ds_otrainingmodel o JOIN ds_ilayers l USING (trainingmodel_task_id) "
        "WHERE l.attribute_type = 'activation' AND l.value <> 'sigmoid' GROUP BY 1 ORDER BY 1",
    )
    assert [t["value"] for t in times] == ["relu", "tanh"] and all(t["seconds"] > 0 for t in times)
    assert times[0]["best"] is not None and times[1]["best"] is None


def test_a_record_without_any_training_answers_nothing(tmp_path: Path) -> None:
    from kerasprov_agent.store import database, keras_prov

    database.open_for_writing(str(tmp_path / "empty.db")).close()
    names = [line.split()[2] for line in keras_prov.VIEWS.splitlines() if "CREATE VIEW" in line]
    assert len(names) == 6
    for name in names:
        assert rows(tmp_path / "empty.db", f"SELECT * FROM {name}") == []


@needs_shared
def test_its_own_tables_come_back_as_they_were(tmp_path: Path) -> None:
    database = tmp_path / "kerasprov.db"
    dumps = [ANCESTOR / f"keras-prov-{name}.sql" for name in ("dump", "dump2")]
    assert kerasprov("import", *dumps, "--db", database).exit_code == 0
    counts: dict[str, Any] = {
        "dataflow_execution": 12, "ds_itrainingmodel": 12, "ds_otrainingmodel": 1600,
        "ds_ilayers": 96, "ds_oadaptation": 4 * 20 + 8, "ds_otestingmodel": 8,
    }  # fmt: skip
    for name, count in counts.items():
        assert rows(database, f"SELECT count(*) AS n FROM {name}") == [{"n": count}], name
    (first,) = rows(database, "SELECT * FROM ds_otrainingmodel WHERE id = 1")
    assert (first["otrain_timestamp"], first["elapsed_time"]) == (
        1604881151.2433584, 11.87196969985962,
    )  # fmt: skip
    assert first["val_loss"] == 62623358.82568807
    (tested,) = rows(database, "SELECT * FROM ds_otestingmodel WHERE id = 1")
    assert (tested["otest_loss"], tested["otest_accuracy"]) == (
        2.1540679581025066, 0.6029411554336548,
    )  # fmt: skip
