"""Documents of loops, predictions, searches and jobs hold as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TINY, recorded

LOOPS = """
model.fit(x, y, epochs=2, verbose=0, callbacks=[keras.callbacks.LearningRateScheduler(lambda e, r: r / 2)])
model.predict(x, verbose=0)
class Look(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.predict(x, verbose=0)
        self.model.save("model.keras")
model.fit(x, y, epochs=2, verbose=0, callbacks=[Look()])
for _ in range(3):
    model.train_on_batch(x, y)
    model.test_on_batch(x, y)
"""
SEARCH = """
import keras_tuner
def tuned(hp):
    made = build(hp.Int("units", 2, 4))
    made.compile("adam", "mse")
    return made
tuner = keras_tuner.RandomSearch(tuned, objective=keras_tuner.Objective("loss", "min"), max_trials=2)
tuner.search(x, y, epochs=2, verbose=0)
"""


def document(directory: Path) -> Path:
    (found,) = (directory / "kerasprov-prov").glob("*.json")
    return found


def test_loops_and_predictions(tmp_path: Path, check_prov: Callable[..., None]) -> None:
    done = recorded(tmp_path, TINY + LOOPS, RANK="1", WORLD_SIZE="2", MASTER_ADDR="localhost")
    assert done.returncode == 0, done.stderr.decode()
    check_prov(document(tmp_path))
    activities = json.loads(document(tmp_path).read_text())["activity"]
    labels = {one["prov:label"] for one in activities.values()}
    assert {"predict", "test_on_batch", "train_on_batch, 3 steps", "fit, 2 epochs"} <= labels
    execution = next(one for one in activities.values() if "kp:rank" in one)
    assert execution["kp:job"] == "launcher-localhost"
    changes = [one for one in activities.values() if "kp:Change" in str(one["prov:type"])]
    assert len(changes) == 2 and "LearningRateScheduler" in changes[0]["kp:by"]
    events = [one["kp:event"] for one in activities.values() if "kp:event" in one]
    assert len(events) == 1 and len(events[0]) == 2


@pytest.mark.slow
def test_searches(tmp_path: Path, check_prov: Callable[..., None]) -> None:
    pytest.importorskip("keras_tuner")
    done = recorded(tmp_path, TINY + SEARCH)
    assert done.returncode == 0, done.stderr.decode()
    check_prov(document(tmp_path))
    activities = json.loads(document(tmp_path).read_text())["activity"]
    labels = {one["prov:label"]: one for one in activities.values()}
    assert "kp:score" in labels["trial 0"] and "RandomSearch" in " ".join(labels)
