"""Who changed what while a run trained, and what callbacks did to it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import row, rows

BACKEND = keras.backend.backend()


def data(samples: int = 32) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).random((samples, 4), dtype="float32")
    return x, x.sum(1, keepdims=True)


def build(optimizer: Any = "sgd", **arguments: Any) -> Any:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", **arguments)
    return model


def changes(database: Path) -> list[tuple[Any, ...]]:
    found = rows(database, "SELECT epoch, name, old, new, by FROM changes")
    return [tuple(one.values()) for one in found]


class Halving(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.halve(epoch)

    def halve(self, epoch: int) -> None:
        if epoch == 1:
            self.model.optimizer.learning_rate = 0.05


def test_a_callback_of_the_program(recording: Path) -> None:
    build(keras.optimizers.SGD(0.1)).fit(*data(), epochs=3, verbose=0, callbacks=[Halving()])
    name = f"{Halving.__module__}.Halving"
    assert changes(recording) == [(1, "learning_rate", 0.1, 0.05, name)]


def test_a_function_of_the_program(recording: Path) -> None:
    model = build(keras.optimizers.SGD(0.1))

    def halve(epoch: int, _logs: Any) -> None:
        model.optimizer.learning_rate = 0.1 / 2**epoch

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=halve)
    model.fit(*data(), epochs=2, verbose=0, callbacks=[callback])
    ((epoch, name, old, new, by),) = changes(recording)
    assert (epoch, name, old, new) == (1, "learning_rate", 0.1, 0.05)
    assert "test_changes.py:" in by


def test_what_is_assigned_to_the_variable_itself(recording: Path) -> None:
    class Assigning(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.optimizer._learning_rate.assign(0.1 * (epoch + 1))

    build(keras.optimizers.SGD(0.1)).fit(*data(), epochs=2, verbose=0, callbacks=[Assigning()])
    ((epoch, _, old, new, by),) = changes(recording)
    assert (epoch, old, new) == (1, 0.1, 0.2) and by.endswith("Assigning")


def test_of_two_that_could_have_done_it_neither_is_accused(recording: Path) -> None:
    class Idle(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            pass

    class Assigning(Idle):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.optimizer._learning_rate.assign(0.1 * (epoch + 1))

    callbacks = [Idle(), Assigning()]
    build(keras.optimizers.SGD(0.1)).fit(*data(), epochs=2, verbose=0, callbacks=callbacks)
    assert changes(recording) == [(1, "learning_rate", 0.1, 0.2, None)]


def test_a_schedule(recording: Path) -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.4, 2, 0.5, staircase=True)
    build(keras.optimizers.SGD(schedule)).fit(*data(), batch_size=16, epochs=2, verbose=0)
    found = changes(recording)
    assert [(c[0], c[1], c[4]) for c in found] == [
        (0, "learning_rate", "ExponentialDecay"),
        (1, "learning_rate", "ExponentialDecay"),
    ]
    assert [c[2:4] for c in found] == [
        (pytest.approx(0.4), pytest.approx(0.2)),
        (pytest.approx(0.2), pytest.approx(0.1)),
    ]


def test_a_schedule_that_cannot_be_serialised(recording: Path) -> None:
    class Own(keras.optimizers.schedules.LearningRateSchedule):
        def __init__(self) -> None:
            self.start = 0.25

        def __call__(self, step: Any) -> Any:
            return self.start

    build(keras.optimizers.SGD(Own(), momentum=0.5)).fit(*data(), verbose=0)
    config = json.loads(row(recording, "SELECT config FROM optimizers")["config"])
    assert config["learning_rate"]["class_name"].endswith("Own")
    assert config["learning_rate"]["config"] == {"start": 0.25} and config["momentum"] == 0.5
    assert row(recording, "SELECT learning_rate FROM epoch")["learning_rate"] == 0.25


def test_other_settings_of_the_optimizer(recording: Path) -> None:
    class Tuning(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.optimizer.weight_decay = 0.01 * epoch

    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.0)
    build(optimizer).fit(*data(), epochs=2, verbose=0, callbacks=[Tuning()])
    ((epoch, name, old, new, by),) = changes(recording)
    assert (epoch, name, old, new) == (1, "weight_decay", 0.0, 0.01) and by.endswith("Tuning")


def test_the_loss_scale(recording: Path) -> None:
    inner = keras.optimizers.SGD(0.125)
    optimizer = keras.optimizers.LossScaleOptimizer(
        inner, initial_scale=8.0, dynamic_growth_steps=2
    )
    build(optimizer, jit_compile=False).fit(*data(), batch_size=16, epochs=2, verbose=0)
    scales = [float(optimizer.initial_scale), 16.0, 32.0]
    found = [c for c in changes(recording) if c[1] == "loss_scale"]
    assert [(c[0], c[2], c[3]) for c in found] == [(0, *scales[:2]), (1, *scales[1:])]
    rates = rows(recording, "SELECT learning_rate FROM epoch")
    assert [one["learning_rate"] for one in rates] == [0.125, 0.125]
    run = row(recording, "SELECT optimizer, learning_rate FROM runs")
    assert run == {"optimizer": "SGD", "learning_rate": 0.125}
    query = "SELECT name, value FROM params WHERE source = 'optimizer'"
    params = {one["name"]: one["value"] for one in rows(recording, query)}
    assert (params["learning_rate"], params["momentum"]) == (0.125, 0.0)
    assert params["wrapper.class_name"] == "LossScaleOptimizer"
    assert params["wrapper.dynamic_growth_steps"] == 2


def test_early_stopping(recording: Path) -> None:
    stop = keras.callbacks.EarlyStopping(
        "loss", patience=1, min_delta=10, restore_best_weights=True
    )
    model = build()
    history = model.fit(*data(), epochs=9, verbose=0, callbacks=[stop])
    event = row(recording, "SELECT * FROM events")
    details = json.loads(event["details"])
    assert (event["kind"], event["by"]) == ("early_stopping", "EarlyStopping")
    assert (
        event["epoch"] == details["stopped_epoch"] == stop.stopped_epoch == len(history.epoch) - 1
    )
    assert details["best_epoch"] == stop.best_epoch
    assert details["best"] == pytest.approx(min(history.history["loss"][: stop.best_epoch + 1]))
    assert details["weights_restored"] is True
    assert all(map(np.array_equal, model.get_weights(), stop.best_weights))


def test_early_stopping_that_had_no_cause_to(recording: Path) -> None:
    stop = keras.callbacks.EarlyStopping("loss", patience=5)
    build().fit(*data(), epochs=2, verbose=0, callbacks=[stop])
    assert rows(recording, "SELECT * FROM events") == []


def test_weights_put_back_where_nothing_was_stopped(recording: Path) -> None:
    stop = keras.callbacks.EarlyStopping("loss", patience=5, restore_best_weights=True)
    build().fit(*data(), epochs=2, verbose=0, callbacks=[stop])
    event = row(recording, "SELECT kind, details FROM events")
    assert event["kind"] == "weights_restored"
    assert json.loads(event["details"])["stopped_epoch"] is None


def test_not_a_number(recording: Path) -> None:
    x, y = data()
    y[:] = np.nan
    callback = keras.callbacks.TerminateOnNaN()
    build().fit(x, y, epochs=3, verbose=0, callbacks=[callback])
    event = row(recording, "SELECT epoch, kind, by FROM events")
    assert event == {"epoch": 0, "kind": "nan", "by": "TerminateOnNaN"}


def test_a_program_that_stops(recording: Path) -> None:
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    build().fit(*data(), epochs=5, verbose=0, callbacks=[Enough()])
    assert row(recording, "SELECT epoch, kind FROM events") == {"epoch": 1, "kind": "stopped"}


def test_checkpoints(recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save = keras.callbacks.ModelCheckpoint("best-{epoch}.weights.h5", save_weights_only=True)
    model = build()
    model.fit(*data(), epochs=2, verbose=0, callbacks=[save])
    model.save_weights("after.weights.h5")
    events = rows(recording, "SELECT epoch, kind, by, details FROM events")
    paths = [json.loads(e.pop("details"))["path"] for e in events]
    assert events == [{"epoch": n, "kind": "saved", "by": "ModelCheckpoint"} for n in (0, 1)]
    assert paths == [str(tmp_path / f"best-{n}.weights.h5") for n in (1, 2)]
    assert all(Path(path).exists() for path in paths)


def test_a_training_that_is_resumed(recording: Path, tmp_path: Path) -> None:
    def backup() -> Any:
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))

    class Failing(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        build().fit(*data(), epochs=4, verbose=0, callbacks=[backup(), Failing()])
    build().fit(*data(), epochs=4, verbose=0, callbacks=[backup()])
    event = row(recording, "SELECT run, epoch, by, details FROM events WHERE kind = 'resumed'")
    assert (event["run"], event["epoch"], event["by"]) == (2, 2, "BackupAndRestore")
    epochs = rows(recording, "SELECT epoch FROM epoch WHERE run = 2")
    assert [one["epoch"] for one in epochs] == [2, 3]


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="JAX puts its own state back over it when the epoch ends",
)
def test_a_rate_set_by_another_thread(recording: Path) -> None:
    """Arrays, compiled steps, no callback: the rate is not fetched, but its setter is seen."""
    x = np.random.default_rng(0).random((64, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.125), "mse")

    def set_it() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if recording.exists() and len(rows(recording, "SELECT * FROM epoch")) >= 3:
                break
            time.sleep(0.01)
        model.optimizer.learning_rate = 0.25

    other = threading.Thread(target=set_it)
    other.start()
    model.fit(x, x[:, :1], epochs=400, verbose=0)
    other.join()
    (change,) = rows(recording, "SELECT * FROM change")
    assert (change["old"], change["new"]) == (0.125, 0.25)
    assert "test_changes.py" in change["by"]
    rates = [one["learning_rate"] for one in rows(recording, "SELECT * FROM epoch ORDER BY epoch")]
    assert rates.index(0.25) >= 3 and set(rates) == {0.125, 0.25}
    assert rates == sorted(rates)
