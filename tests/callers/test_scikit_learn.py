"""Models that scikit-learn trains: through scikeras and through Keras' own wrappers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import rows

pytest.importorskip("sklearn")


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).random((40, 4), dtype="float32")
    return x, (x.sum(1) > 2).astype("int64")


def build(*_: Any, units: int = 4, **__: Any) -> Any:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    return model


def categorical(*_: Any, **__: Any) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "categorical_crossentropy")
    return model


def test_keras_own_wrapper(recording: Path) -> None:
    wrappers = pytest.importorskip("keras.wrappers")
    x, y = data()
    classifier = wrappers.SKLearnClassifier(categorical, fit_kwargs={"epochs": 2, "verbose": 0})
    classifier.fit(x, y)
    classifier.predict(x)
    (run,) = rows(recording, "SELECT * FROM run")
    assert run["caller"].split(".")[-1] == "sklearn_wrapper"
    assert run["optimizer"] == "SGD" and run["epochs_finished"] == 2
    history = classifier.history_.history["loss"]
    epochs = rows(recording, "SELECT loss FROM epochs ORDER BY epoch")
    assert [one["loss"] for one in epochs] == history
    (used,) = rows(recording, "SELECT kind, calls, run_id FROM activity")
    assert used == {"kind": "predict", "calls": 1, "run_id": run["id"]}


def test_a_grid_search_over_scikeras(recording: Path) -> None:
    scikeras = pytest.importorskip("scikeras.wrappers")
    from sklearn.model_selection import GridSearchCV

    x, y = data()
    classifier = scikeras.KerasClassifier(
        build, units=4, optimizer="adam", loss="binary_crossentropy", epochs=2, verbose=0
    )
    search = GridSearchCV(classifier, {"units": [2, 3]}, cv=2, error_score="raise")
    search.fit(x, y)
    runs = rows(recording, "SELECT * FROM run ORDER BY number")
    assert len(runs) == 5  # two by two, and the best again on all data
    assert {one["caller"] for one in runs} == {"scikeras.wrappers"}
    assert {one["status"] for one in runs} == {"finished"}
    assert {one["samples"] for one in runs} == {20, 40}
    last = rows(
        recording, "SELECT loss FROM epoch WHERE run = ? ORDER BY epoch", runs[-1]["number"]
    )
    assert [one["loss"] for one in last] == search.best_estimator_.history_["loss"]
    units = rows(
        recording,
        "SELECT DISTINCT units FROM layers WHERE run = ? AND activation = 'relu'",
        runs[-1]["number"],
    )
    assert units and units[0]["units"] == search.best_params_["units"]
