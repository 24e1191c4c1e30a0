"""What is captured, feature by feature: each trains for real and compares with what it saw.

Run by `run.py` in each environment; prints a JSON object of feature to `recorded`, or to what
that Keras lacks. Any other outcome is a failure.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from typing import Any

DIRECTORY = tempfile.mkdtemp()
DATABASE = os.path.join(DIRECTORY, "kerasprov.db")
os.environ.update(KERASPROV_DB=DATABASE, KERASPROV_DEBUG="1", KERASPROV_PROV="off")

import numpy as np  # noqa: E402

import kerasprov_agent  # noqa: E402

keras: Any = importlib.import_module(os.environ.get("KERAS_PACKAGE", "keras"))
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
FEATURES: dict[str, Callable[[], None]] = {}


class Lacking(Exception):
    """This Keras or backend has no such thing."""


def feature(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def add(check: Callable[[], None]) -> Callable[[], None]:
        FEATURES[name] = check
        return check

    return add


def rows(query: str, *values: Any) -> list[dict[str, Any]]:
    connection = sqlite3.connect(DATABASE)
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute(query, values)]
    connection.close()
    return found


def last_run(offset: int = 0) -> dict[str, Any]:
    return rows("SELECT * FROM run ORDER BY number DESC")[offset]


def of_run(table: str) -> list[dict[str, Any]]:
    return rows(f"SELECT * FROM {table} WHERE run_id = ?", last_run()["id"])


def epochs(run: int | None = None) -> list[dict[str, Any]]:
    number = last_run()["number"] if run is None else run
    return rows("SELECT * FROM epoch WHERE run = ? ORDER BY epoch", number)


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).random((64, 4)).astype("float32")
    return x, x.sum(1, keepdims=True).astype("float32")


def build(optimizer: Any = "sgd", **settings: Any) -> Any:
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.25),
            keras.layers.Dense(1),
        ]
    )
    if optimizer is not None:
        model.compile(optimizer, "mse", metrics=["mae"], **settings)
    return model


def fit(model: Any, **arguments: Any) -> dict[str, list[float]]:
    history: dict[str, list[float]] = model.fit(*data(), verbose=0, **arguments).history
    return history


def same(found: Any, expected: Any) -> None:
    if found != expected:
        raise AssertionError(f"recorded {found!r}, the program saw {expected!r}")


def close(found: float, expected: Any) -> None:
    if found is None or abs(found - float(expected)) > 1e-6 * max(1, abs(float(expected))):
        raise AssertionError(f"recorded {found!r}, the program saw {expected!r}")


@feature("metrics of each epoch, validation too")
def metrics() -> None:
    history = fit(build(), epochs=3, validation_split=0.25)
    for name, values in history.items():
        same([one[name] for one in epochs()], [float(value) for value in values])
    run = last_run()
    same((run["samples"], run["validation_samples"], run["status"]), (48, 16, "finished"))


@feature("times of each epoch, device synchronised")
def times() -> None:
    fit(build(), epochs=2, validation_split=0.25)
    for one in epochs():
        assert one["train_seconds"] > 0 and one["validation_seconds"] > 0, one
        assert one["synchronized"] == 1 and one["steps"] == 2, one
        assert 0 < one["first_step_seconds"] <= one["train_seconds"], one


@feature("layers and parameters")
def layers() -> None:
    model = build()
    fit(model)
    found = rows("SELECT * FROM architecture WHERE id = ?", last_run()["architecture_id"])[0]
    same(found["parameters"], model.count_params())
    same((found["activation"], found["dropout"]), ("relu", 0.25))


@feature("optimizer: class, every setting, where it was made, what it trains")
def optimizer() -> None:
    model = build(keras.optimizers.SGD(learning_rate=0.1, momentum=0.75, nesterov=True))
    fit(model)
    (found,) = of_run("optimizer")
    config = json.loads(found["config"])
    same((found["class_name"], found["learning_rate"]), ("SGD", 0.1))
    same((config["momentum"], config["nesterov"]), (0.75, True))
    assert "features.py" in found["constructed_in"], found
    same(len(json.loads(found["variables"])), len(model.trainable_variables))
    same((found["iterations_before"], found["iterations_after"]), (0, 2))


@feature("learning rate by a schedule, epoch by epoch")
def schedule() -> None:
    decay = keras.optimizers.schedules.ExponentialDecay(0.5, 2, 0.5)
    fit(build(keras.optimizers.SGD(decay)), epochs=3)
    for i, one in enumerate(epochs()):
        close(one["learning_rate"], decay(2 * i))
    params = {p["name"]: p["value"] for p in of_run("param") if p["source"] == "optimizer"}
    same(params["learning_rate.config.decay_rate"], 0.5)
    changed = rows("SELECT * FROM changes WHERE run = ?", last_run()["number"])
    same([one["by"] for one in changed], ["ExponentialDecay"] * 3)


@feature("learning rate by LearningRateScheduler")
def scheduler() -> None:
    def halve(epoch: int, rate: float) -> float:
        return rate / 2

    fit(build(), epochs=3, callbacks=[keras.callbacks.LearningRateScheduler(halve)])
    for one, expected in zip(epochs(), (0.005, 0.0025, 0.00125), strict=True):
        close(one["learning_rate"], expected)
    same({one["by"] for one in of_run("change")}, {"LearningRateScheduler"})


@feature("learning rate by ReduceLROnPlateau")
def plateau() -> None:
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", factor=0.5, patience=1, min_delta=100.0
    )
    fit(build(), epochs=4, callbacks=[callback])
    found = of_run("change")
    assert len(found) == 3, found
    close(found[-1]["new"], 0.00125)
    assert {one["by"] for one in found} <= {"ReduceLROnPlateau", None}, found


@feature("learning rate set by hand in a callback")
def by_hand() -> None:
    class Set(keras.callbacks.Callback):  # type: ignore[name-defined,misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                self.model.optimizer.learning_rate = 0.25

    fit(build(), epochs=3, callbacks=[Set()])
    (found,) = of_run("change")
    same((found["epoch"], found["new"]), (1, 0.25))
    assert found["by"] is not None and found["by"].endswith("Set"), found
    close(epochs()[2]["learning_rate"], 0.25)


@feature("EarlyStopping, with the best epoch")
def early_stopping() -> None:
    callback = keras.callbacks.EarlyStopping(
        monitor="loss", patience=2, min_delta=100.0, restore_best_weights=True
    )
    history = fit(build(), epochs=9, callbacks=[callback])
    run = last_run()
    same((run["epochs_finished"], run["stopped_early"]), (len(history["loss"]), 1))
    (event,) = [one for one in of_run("event") if one["kind"] == "early_stopping"]
    details = json.loads(event["details"])
    same(details["best_epoch"], 0)


@feature("TerminateOnNaN")
def nan() -> None:
    callback = keras.callbacks.TerminateOnNaN()
    fit(build(keras.optimizers.SGD(1e30)), epochs=9, callbacks=[callback])
    assert "nan" in {one["kind"] for one in of_run("event")}, of_run("event")


@feature("ModelCheckpoint saving")
def checkpoint() -> None:
    path = os.path.join(DIRECTORY, "model.keras")
    fit(build(), epochs=2, callbacks=[keras.callbacks.ModelCheckpoint(path)])
    found = [one for one in of_run("event") if one["kind"] == "saved"]
    same(len(found), 2)
    same({one["by"] for one in found}, {"ModelCheckpoint"})


@feature("BackupAndRestore resuming")
def resuming() -> None:
    directory = os.path.join(DIRECTORY, "backup")

    class Stop(keras.callbacks.Callback):  # type: ignore[name-defined,misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise RuntimeError("stop")

    try:
        fit(build(), epochs=4, callbacks=[keras.callbacks.BackupAndRestore(directory), Stop()])
    except RuntimeError:
        pass
    same((last_run()["status"], last_run()["epochs_finished"]), ("failed", 2))
    fit(build(), epochs=4, callbacks=[keras.callbacks.BackupAndRestore(directory)])
    first = epochs()[0]["epoch"]
    assert first > 0, first
    (event,) = [one for one in of_run("event") if one["kind"] == "resumed"]
    same(event["epoch"], first)


@feature("loss scale of mixed precision")
def loss_scale() -> None:
    place = getattr(keras.optimizers, "LossScaleOptimizer", None) or getattr(
        getattr(keras, "mixed_precision", None), "LossScaleOptimizer", None
    )
    if place is None:
        raise Lacking("no LossScaleOptimizer")
    fit(build(place(keras.optimizers.SGD(0.125))), epochs=2)
    assert {one["class_name"] for one in of_run("optimizer")} == {"SGD"}
    config = json.loads(of_run("optimizer")[0]["config"])
    same(config["learning_rate"], 0.125)
    assert "LossScaleOptimizer" in config["wrapper"]["class_name"], config


@feature("evaluate: what it returned, and the run whose model it was")
def evaluate() -> None:
    model = build()
    fit(model)
    results = model.evaluate(*data(), verbose=0)
    found = rows("SELECT * FROM evaluation ORDER BY started_at DESC")[0]
    same((found["loss"], found["mae"]), (float(results[0]), float(results[1])))
    same(found["run_id"], last_run()["id"])


@feature("predict and test_on_batch, aggregated")
def uses() -> None:
    model = build()
    tested = 0
    try:
        model.test_on_batch(*data())
        tested = 1
    except StopIteration:  # as Keras 3.3 does by itself
        pass
    for _ in range(3):
        model.predict(data()[0], verbose=0)
    kerasprov_agent.stop()
    kerasprov_agent.start()
    found = rows("SELECT kind, calls FROM activity ORDER BY started_at DESC LIMIT 2")
    same({one["kind"]: one["calls"] for one in found}, {"predict": 3, "test_on_batch": tested})


@feature("train_on_batch as a run")
def on_batch() -> None:
    model = build()
    for _ in range(5):
        model.train_on_batch(*data())
    fit(model)  # something else begins with it
    run = last_run(1)
    same((run["kind"], run["steps"], run["optimizer"]), ("train_on_batch", 5, "SGD"))


@feature("a loop over apply_gradients in a tf.function")
def loop() -> None:
    if BACKEND != "tensorflow":
        raise Lacking("not TensorFlow")
    import tensorflow as tf

    model, adam = build(None), keras.optimizers.Adam(0.01)
    x, y = data()

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((y - model(x)) ** 2)
        variables = model.trainable_variables
        adam.apply_gradients(zip(tape.gradient(loss, variables), variables))  # noqa: B905

    for _ in range(6):
        step()
    _check_loop(model)


@feature("a loop over optimizer.apply in torch")
def loop_torch() -> None:
    if BACKEND != "torch":
        raise Lacking("not torch")
    import torch

    model, adam = build(None), keras.optimizers.Adam(0.01)
    x, y = data()
    for _ in range(6):
        model.zero_grad()
        torch.mean((torch.tensor(y) - model(x)) ** 2).backward()
        gradients = [v.value.grad for v in model.trainable_weights]
        with torch.no_grad():
            adam.apply(gradients, model.trainable_weights)
    _check_loop(model)


@feature("a loop over stateless_apply in jax.jit")
def loop_jax() -> None:
    if BACKEND != "jax":
        raise Lacking("not JAX")
    import jax

    model, adam = build(None), keras.optimizers.Adam(0.01)
    adam.build(model.trainable_variables)
    x, y = data()

    def loss_of(trainable: Any, others: Any) -> Any:
        found, _ = model.stateless_call(trainable, others, x)
        return ((found - y) ** 2).mean()

    @jax.jit
    def step(trainable: Any, others: Any, state: Any) -> Any:
        gradients = jax.grad(loss_of)(trainable, others)
        return adam.stateless_apply(state, gradients, trainable)

    trainable = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]
    state = [v.value for v in adam.variables]
    for _ in range(6):
        trainable, state = step(trainable, others, state)
    for variable, value in zip(adam.variables, state, strict=True):
        variable.assign(value)
    for variable, value in zip(model.trainable_variables, trainable, strict=True):
        variable.assign(value)
    _check_loop(model)


def _check_loop(model: Any) -> None:
    model.compile("sgd", "mse")
    fit(model)
    run = last_run(1)
    same((run["kind"], run["steps"], run["optimizer"]), ("loop", 6, "Adam"))


@feature("a train_step of the user's own")
def train_step() -> None:
    class Own(keras.Model):  # type: ignore[name-defined,misc]
        def train_step(self, *args: Any) -> Any:
            return super().train_step(*args)

    inputs = keras.layers.Input((4,))
    model = Own(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    history = fit(model, epochs=2)
    same([one["loss"] for one in epochs()], [float(value) for value in history["loss"]])


@feature("fit within a callback")
def nested() -> None:
    class Inner(keras.callbacks.Callback):  # type: ignore[name-defined,misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            fit(build())

    fit(build(), callbacks=[Inner()])
    outer, inner = last_run(1), last_run()
    same(inner["parent_id"], outer["id"])
    same((outer["epochs_finished"], inner["epochs_finished"]), (1, 1))


@feature("fits in several threads")
def threads() -> None:
    found: dict[str, list[float]] = {}

    def work(name: str) -> None:
        found[name] = [float(value) for value in fit(build(), epochs=2)["loss"]]

    workers = [threading.Thread(target=work, args=(str(i),)) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    recorded = [[e["loss"] for e in epochs(last_run(i)["number"])] for i in range(2)]
    same(sorted(recorded), sorted(found.values()))


@feature("a fit that raises")
def raising() -> None:
    class Raise(keras.callbacks.Callback):  # type: ignore[name-defined,misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise ValueError("no")

    try:
        fit(build(), epochs=3, callbacks=[Raise()])
    except ValueError:
        pass
    run = last_run()
    same(
        (run["status"], run["exception_type"], run["epochs_finished"]), ("failed", "ValueError", 1)
    )


def _input() -> dict[str, Any]:
    run = last_run()
    found = rows("SELECT * FROM entity WHERE id = ?", run["training_data_id"])[0]
    arrays = rows("SELECT * FROM array WHERE entity_id = ? ORDER BY position", found["id"])
    return {**found, "shapes": [json.loads(one["shape"]) for one in arrays]}


@feature("NumPy arrays: shapes, samples")
def arrays() -> None:
    fit(build())
    found = _input()
    same((found["shapes"], found["samples"]), ([[64, 4], [64, 1]], 64))


@feature("tf.data: batch size, shuffling, steps of the pipeline")
def tf_data() -> None:
    if BACKEND == "jax" or BACKEND == "torch":
        raise Lacking("not TensorFlow")
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(data()).shuffle(8, seed=3).batch(16)
    build().fit(dataset, verbose=0)
    found = _input()
    same((found["batches"], found["batch_size"]), (4, 16))
    steps = json.loads(found["details"])["steps"]
    shuffle = next(one for one in steps if one["name"] == "Shuffle")
    same((shuffle["buffer_size"], shuffle["seed"]), (8, 3))


@feature("PyDataset or Sequence: batches, shapes")
def py_dataset() -> None:
    base = getattr(keras.utils, "PyDataset", None) or keras.utils.Sequence

    class Batches(base):  # type: ignore[misc,valid-type]
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            x, y = data()
            return x[16 * index :][:16], y[16 * index :][:16]

    build().fit(Batches(), verbose=0)
    found = _input()
    same(found["batches"], 4)
    same([len(shape) for shape in found["shapes"]], [2, 2])


@feature("generators: shapes")
def generators() -> None:
    def endless() -> Any:
        while True:
            yield data()

    build().fit(endless(), steps_per_epoch=2, verbose=0)
    found = _input()
    same((found["class_name"], found["batch_size"]), ("generator", 64))
    same([len(shape) for shape in found["shapes"]], [2, 2])


@feature("torch's DataLoader: samples, shuffling, shapes")
def data_loader() -> None:
    if BACKEND != "torch":
        raise Lacking("not torch")
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    x, y = map(torch.tensor, data())
    build().fit(DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True), verbose=0)
    found = _input()
    same((found["samples"], found["batches"], found["batch_size"]), (64, 4, 16))
    same(json.loads(found["details"])["shuffle"], True)


@feature("arrays: the file they came from, by memory and by content")
def files_of_arrays() -> None:
    path = os.path.join(DIRECTORY, "fed.npz")
    np.savez(path, x=np.random.rand(40, 9))
    found = np.load(path)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = found["x"]
    for fed, confidence in ((x, "same_buffer"), (x[::-1] / 2, "content_match")):
        model.fit(fed, np.zeros(len(fed)), verbose=0)
        query = (
            "SELECT f.path, d.confidence FROM derived d JOIN file f ON f.entity_id = d.source_id "
            "JOIN run r ON r.training_data_id = d.entity_id ORDER BY r.number DESC LIMIT 1"
        )
        same(tuple(rows(query)[0].values()), (path, confidence))


@feature("models saved and loaded: files, and what they came of")
def saved_and_loaded() -> None:
    model = build()
    fit(model)
    path, weights = (os.path.join(DIRECTORY, f"kept.{e}") for e in ("keras", "weights.h5"))
    model.save(path)
    model.save_weights(weights)
    loaded = keras.models.load_model(path, compile=False)
    loaded.load_weights(weights)
    query = (
        "SELECT a.kind, f.path FROM activity a JOIN {} t ON t.activity_id = a.id "
        "JOIN file f ON f.entity_id = t.entity_id ORDER BY a.started_at DESC LIMIT 2"
    )
    made = [tuple(row.values()) for row in rows(query.format("generated"))]
    same(made, [("save_weights", weights), ("save", path)])
    used = [tuple(row.values()) for row in rows(query.format("used"))]
    same(used, [("load_weights", weights), ("load", path)])


@feature("the seed of keras.utils.set_random_seed")
def seed() -> None:
    keras.utils.set_random_seed(17)
    fit(build())
    found = [one["value"] for one in of_run("param") if one["source"] == "seed"]
    if not found:
        raise Lacking("keeps no seed")
    assert 17 in found, found


def main() -> int:
    outcomes: dict[str, str] = {}
    for name, check in FEATURES.items():
        try:
            check()
            outcomes[name] = "recorded"
        except Lacking as exc:
            outcomes[name] = str(exc)
        except Exception:
            traceback.print_exc()
            outcomes[name] = "FAILED"
    versions = {
        "keras": getattr(keras, "__version__", None),
        **rows("SELECT backend_version FROM execution")[0],
    }
    print(json.dumps({"versions": versions, "features": outcomes}))
    kerasprov_agent.stop()
    shutil.rmtree(DIRECTORY)
    return int("FAILED" in outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
