"""KerasTuner: a search, its trials with their scores, and the runs of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import TINY, kerasprov, recorded, row, rows

keras_tuner = pytest.importorskip("keras_tuner")


def build(hp: Any) -> Any:
    units = hp.Int("units", 2, 8, step=2)
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    activation = hp.Choice("activation", ["relu", "tanh"])
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units, activation=activation),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).random((32, 4), dtype="float32")
    return x, (x.sum(1) > 2).astype("float32")


def test_each_trial_has_its_hyperparameters_its_score_and_its_runs(recording: Path) -> None:
    x, y = data()
    tuner = keras_tuner.RandomSearch(
        build,
        objective="val_accuracy",
        max_trials=3,
        executions_per_trial=2,
        seed=1,
        directory=recording.parent / "tuning",
        project_name="digits",
    )
    tuner.search(x, y, epochs=2, validation_split=0.25, verbose=0)

    search = row(recording, "SELECT * FROM search")
    assert (search["class_name"], search["name"]) == ("RandomSearch", "digits")
    assert (search["objective"], search["direction"]) == ("val_accuracy", "max")
    assert search["status"] == "finished" and search["directory"] == tuner.project_dir
    settings = json.loads(search["settings"])
    assert settings["max_trials"] == 3 and settings["executions_per_trial"] == 2
    assert settings["seed"] == 1
    space = {one["config"]["name"]: one for one in json.loads(search["space"])}
    assert set(space) == {"units", "learning_rate", "activation"}
    assert space["units"]["config"]["max_value"] == 8

    trials = rows(recording, "SELECT * FROM trial ORDER BY name")
    assert [one["name"] for one in trials] == sorted(tuner.oracle.trials)
    for trial in trials:
        seen = tuner.oracle.trials[trial["name"]]
        assert trial["status"] == "finished" and trial["search_id"] == search["id"]
        assert json.loads(trial["hyperparameters"]) == seen.hyperparameters.values
        assert trial["score"] == seen.score and trial["best_step"] == seen.best_step
        runs = rows(recording, "SELECT * FROM run WHERE trial_id = ?", trial["id"])
        assert len(runs) == 2 and {one["status"] for one in runs} == {"finished"}
        for run in runs:
            assert run["caller"].startswith("keras_tuner")
            params = rows(
                recording,
                "SELECT name, value FROM param WHERE run_id = ? AND source = 'trial'",
                run["id"],
            )
            assert {one["name"]: one["value"] for one in params} == seen.hyperparameters.values
            assert run["learning_rate"] == seen.hyperparameters.values["learning_rate"]

    best = tuner.oracle.get_best_trials(1)[0]
    assert row(recording, "SELECT best_score, trials FROM searches") == {
        "best_score": best.score,
        "trials": 3,
    }
    model = tuner.get_best_models(1)[0]
    model.fit(x, y, epochs=1, verbose=0)
    last = rows(recording, "SELECT * FROM run ORDER BY number")[-1]
    assert last["trial_id"] is None


def test_a_trial_that_fails_is_one_and_its_retry_another(recording: Path) -> None:
    calls: list[int] = []

    def stumbling(hp: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise ValueError("no such model")
        return build(hp)

    x, y = data()
    tuner = keras_tuner.RandomSearch(
        stumbling,
        objective=keras_tuner.Objective("loss", "min"),
        max_trials=1,
        max_retries_per_trial=1,
        directory=recording.parent,
        project_name="retry",
    )
    tuner.search(x, y, epochs=1, verbose=0)
    first, second = rows(recording, "SELECT * FROM trial ORDER BY started_at")
    assert first["name"] == second["name"]
    assert (first["status"], first["score"]) == ("failed", None)
    assert "ValueError: no such model" in first["message"]
    assert second["status"] == "finished"
    assert second["score"] == tuner.oracle.get_best_trials(1)[0].score


class BlackBox(keras_tuner.Tuner):
    """A tuner of the user's own that never calls `super`, and trains nothing."""

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        return float(trial.hyperparameters.Float("x", -1.0, 1.0) ** 2)

    def on_trial_begin(self, trial: Any) -> None:
        pass


def test_a_search_without_a_model(recording: Path) -> None:
    tuner = BlackBox(
        keras_tuner.oracles.RandomSearchOracle(
            objective=keras_tuner.Objective("value", "min"), max_trials=2
        ),
        directory=recording.parent,
        project_name="box",
    )
    # A tuner's own name for a single number is that of its objective.
    tuner.search()
    trials = rows(recording, "SELECT * FROM trial")
    assert [one["score"] for one in trials] == [
        json.loads(one["hyperparameters"])["x"] ** 2 for one in trials
    ]
    assert row(recording, "SELECT class_name FROM search")["class_name"].endswith("BlackBox")
    assert rows(recording, "SELECT * FROM run") == []


STOPPED = (
    TINY
    + """
import keras_tuner
def tuned(hp):
    made = build(hp.Int("units", 2, 4))
    made.compile("adam", "mse")
    return made
class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt
tuner = keras_tuner.GridSearch(tuned, objective=keras_tuner.Objective("loss", "min"), max_trials=2)
tuner.search(x, y, epochs=3, verbose=0, callbacks=[Stop()])
"""
)


def test_a_search_that_is_broken_off(tmp_path: Path) -> None:
    done = recorded(tmp_path, STOPPED)
    assert done.returncode != 0 and b"KeyboardInterrupt" in done.stderr
    database = tmp_path / "kerasprov.db"
    assert row(database, "SELECT status FROM search")["status"] == "interrupted"
    assert row(database, "SELECT status, score FROM trial") == {
        "status": "interrupted",
        "score": None,
    }
    assert row(database, "SELECT status, epochs_finished FROM run") == {
        "status": "interrupted",
        "epochs_finished": 1,
    }


def test_the_commands_tell_of_trials(recording: Path) -> None:
    import kerasprov_agent

    x, y = data()
    tuner = keras_tuner.RandomSearch(
        build,
        objective="val_accuracy",
        max_trials=2,
        seed=1,
        directory=recording.parent / "tuning",
        project_name="digits",
    )
    tuner.search(x, y, epochs=1, validation_split=0.25, verbose=0)
    kerasprov_agent.stop()

    def asked(*words: str) -> Any:
        done = kerasprov(*words, "--json", "--db", recording)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    scores = sorted((one.score for one in tuner.oracle.trials.values()), reverse=True)
    found = asked("trials", "digits")
    assert [one["score"] for one in found] == scores
    for one in found:
        values = tuner.oracle.trials[one["trial"]].hyperparameters.values
        assert {name: one[name] for name in values} == values
    assert kerasprov("trials", "nonsense", "--db", recording).stdout == "No trials match.\n"
    runs = asked(
        "runs", "--columns", "run,trial,score", "--where", "score >= 0", "--sort", "-score"
    )
    assert [one["score"] for one in runs] == scores
    assert {str(one["run"]) for one in runs} == {one["run_numbers"] for one in found}
    answers = asked("query", "trials.trial, trials.score, avg(epochs.loss), count(searches.id)")
    assert {one["trials.trial"] for one in answers} == set(tuner.oracle.trials)
    shown = kerasprov("show", "1", "--db", recording).stdout
    assert f"{runs[0]['trial']} of digits" in shown or f"{runs[1]['trial']} of digits" in shown
    folder = recording.parent / "exported"
    assert kerasprov("export", "--format", "csv", "-o", folder, "--db", recording).exit_code == 0
    assert (folder / "trials.csv").read_text().count("\n") == 3
    assert (folder / "searches.csv").read_text().count("\n") == 2
