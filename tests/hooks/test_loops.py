"""Trainings without `fit`: what the program itself counted is what the record says."""

from __future__ import annotations

import gc
import json
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kerasprov_agent
from kerasprov_agent.capture.hooks import loops
from tests.conftest import python, row, rows

BACKEND = keras.backend.backend()


def data(samples: int = 32) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).random((samples, 4), dtype="float32")
    return x, x.sum(1, keepdims=True)


def build() -> Any:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])


def loop_over(model: Any, optimizer: Any, steps: int) -> None:
    """A training loop as the backend's users write it."""
    x, y = data()
    if BACKEND == "tensorflow":
        import tensorflow as tf

        @tf.function
        def step() -> None:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((y - model(x)) ** 2)
            variables = model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

        for _ in range(steps):
            step()
    elif BACKEND == "torch":
        import torch

        for _ in range(steps):
            model.zero_grad()
            torch.mean((torch.tensor(y) - model(x)) ** 2).backward()
            gradients = [v.value.grad for v in model.trainable_weights]
            with torch.no_grad():
                optimizer.apply(gradients, model.trainable_weights)
    else:
        jax_loop_over(model, optimizer, steps)


def jax_loop_over(model: Any, optimizer: Any, steps: int, put_back: bool = True) -> None:
    import jax

    x, y = data()
    optimizer.build(model.trainable_variables)

    def loss(trainable: Any, other: Any) -> Any:
        predicted, _ = model.stateless_call(trainable, other, x)
        return ((y - predicted) ** 2).mean()

    @jax.jit
    def step(trainable: Any, other: Any, state: Any) -> Any:
        return optimizer.stateless_apply(state, jax.grad(loss)(trainable, other), trainable)

    trainable = [v.value for v in model.trainable_variables]
    other = [v.value for v in model.non_trainable_variables]
    state = [v.value for v in optimizer.variables]
    for _ in range(steps):
        trainable, state = step(trainable, other, state)
    for variable, value in zip(model.trainable_variables, trainable, strict=True):
        variable.assign(value)
    for variable, value in zip(optimizer.variables, state, strict=True):
        if put_back:
            variable.assign(value)


def test_a_loop_over_an_optimizer(recording: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, optimizer = build(), keras.optimizers.SGD(0.05, momentum=0.5)
    loop_over(model, optimizer, 7)
    kerasprov_agent.stop()
    run = row(recording, "SELECT * FROM runs")
    assert (run["kind"], run["status"], run["steps"]) == ("loop", "finished", 7)
    assert (run["optimizer"], run["learning_rate"], run["model"]) == ("SGD", 0.05, "Sequential")
    assert run["epochs_finished"] is None and run["parameters"] == 5
    found = row(recording, "SELECT * FROM optimizers")
    assert json.loads(found["variables"]) == [v.path for v in model.trainable_variables]
    assert (found["iterations_before"], found["iterations_after"]) == (0, 7)
    assert json.loads(found["config"])["momentum"] == 0.5
    assert "wrapt" not in capfd.readouterr().err


@pytest.mark.skipif(BACKEND != "jax", reason="stateless_apply is how JAX is used")
def test_steps_that_nobody_counted_are_unknown(recording: Path) -> None:
    jax_loop_over(build(), keras.optimizers.SGD(0.05), 5, put_back=False)
    kerasprov_agent.stop()
    run = row(recording, "SELECT kind, steps, optimizer FROM runs")
    assert run == {"kind": "loop", "steps": None, "optimizer": "SGD"}


def test_a_loop_is_recorded_as_soon_as_it_trains(recording: Path) -> None:
    model, optimizer = build(), keras.optimizers.SGD(0.05)
    loop_over(model, optimizer, 2)
    assert row(recording, "SELECT status FROM runs")["status"] == "running"
    model.compile("adam", "mse")
    model.evaluate(*data(), verbose=0)
    assert row(recording, "SELECT run FROM evaluations")["run"] == 1


def test_a_loop_is_over_when_its_optimizer_is_gone(recording: Path) -> None:
    for _ in range(2):
        loop_over(build(), keras.optimizers.SGD(0.05), 3)
        gc.collect()
    build()
    found = rows(recording, "SELECT status, steps FROM runs ORDER BY run")
    assert found[0] == {"status": "finished", "steps": 3}
    kerasprov_agent.stop()
    assert [r["steps"] for r in rows(recording, "SELECT steps FROM runs")] == [3, 3]


def test_a_loop_is_over_when_its_model_goes_into_fit(recording: Path) -> None:
    model = build()
    optimizer = keras.optimizers.SGD(0.05)
    loop_over(model, optimizer, 3)
    model.compile("adam", "mse")
    model.fit(*data(), epochs=2, verbose=0)
    found = rows(recording, "SELECT kind, status, steps, epochs_finished FROM runs ORDER BY run")
    assert [tuple(r.values()) for r in found] == [
        ("loop", "finished", 3, None),
        ("fit", "finished", None, 2),
    ]
    states = row(recording, "SELECT count(*) AS n FROM derived")["n"]
    # The loop's, compile's and fit's, each of the one before; fit's of its data as well.
    assert states == 4


@pytest.mark.skipif(BACKEND != "tensorflow", reason="one step with two optimizers")
def test_a_gan_by_hand_is_one_run(recording: Path) -> None:
    import tensorflow as tf

    x, y = data()
    generator, critic = build(), build()
    first, second = keras.optimizers.Adam(1e-3), keras.optimizers.SGD(1e-2)

    @tf.function
    def step() -> None:
        for model, optimizer in ((generator, first), (critic, second)):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((y - model(x)) ** 2)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

    for _ in range(4):
        step()
    kerasprov_agent.stop()
    run = row(recording, "SELECT optimizer, learning_rate, steps FROM runs")
    assert run == {"optimizer": "Adam, SGD", "learning_rate": None, "steps": 4}
    found = rows(recording, "SELECT class_name, iterations_after FROM optimizers")
    assert [tuple(one.values()) for one in found] == [("Adam", 4), ("SGD", 4)]
    trained = rows(recording, "SELECT * FROM generated WHERE activity_id LIKE '%#loop-1'")
    assert len(trained) == 2  # both models


def test_train_on_batch_is_one_run(recording: Path) -> None:
    model = build()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = data()
    for _ in range(6):
        model.train_on_batch(x, y)
    for _ in range(3):
        model.test_on_batch(x, y)
    kerasprov_agent.stop()
    run = row(recording, "SELECT kind, status, steps, optimizer, loss, samples FROM runs")
    assert tuple(run.values()) == ("train_on_batch", "finished", 6, "SGD", "mse", None)
    tested = row(recording, "SELECT kind, calls, run FROM activities")
    assert tested == {"kind": "test_on_batch", "calls": 3, "run": 1}
    shapes = rows(recording, "SELECT role, shape FROM inputs WHERE used_as = 'training_data'")
    assert {one["role"]: one["shape"] for one in shapes} == {"x": "[32, 4]", "y": "[32, 1]"}


def test_predict_is_one_row_a_state_of_the_model(recording: Path) -> None:
    model = build()
    model.compile("sgd", "mse")
    for _ in range(5):
        model.predict(data()[0], verbose=0)
    model.fit(*data(), verbose=0)
    for _ in range(2):
        model.predict(data()[0], verbose=0)
    model.predict_on_batch(data()[0])
    kerasprov_agent.stop()
    found = rows(recording, "SELECT kind, calls, run, seconds > 0 AS s FROM activities ORDER BY id")
    assert [tuple(one.values()) for one in found] == [
        ("predict", 5, None, 1),
        ("predict", 2, 1, 1),
        ("predict_on_batch", 1, 1, 1),
    ]


class Own(keras.Model):
    """A model whose `fit` never calls Keras'."""

    def __init__(self) -> None:
        super().__init__()
        self.out = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.out(x)

    def fit(self, x: Any, y: Any, steps: int) -> list[Any]:  # type: ignore[override]
        return [self.train_on_batch(x, y) for _ in range(steps)]


def test_a_fit_that_never_calls_keras(recording: Path) -> None:
    model = Own()
    model.compile("sgd", "mse")
    model.fit(*data(), 4)
    kerasprov_agent.stop()
    run = row(recording, "SELECT kind, steps, model FROM runs")
    assert run["kind"] == "train_on_batch" and run["steps"] == 4 and run["model"].endswith("Own")


def test_several_fits_in_threads(recording: Path) -> None:
    models = [build() for _ in range(3)]
    for model in models:
        model.compile("sgd", "mse")
    losses: dict[int, list[float]] = {}

    def train(number: int) -> None:
        history = models[number].fit(*data(), epochs=3 + number, verbose=0)
        losses[number] = history.history["loss"]

    threads = [threading.Thread(target=train, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows(recording, "SELECT run, epochs, parent_id FROM runs JOIN run ON number = run")
    assert sorted(one["epochs"] for one in found) == [3, 4, 5]
    assert all(one["parent_id"] is None for one in found)
    recorded = [
        [e["loss"] for e in rows(recording, "SELECT loss FROM epoch WHERE run = ?", one["run"])]
        for one in found
    ]
    assert sorted(recorded) == sorted(losses.values())


def test_nothing_of_a_loop_is_kept_alive(recording: Path) -> None:
    import weakref

    model, optimizer = build(), keras.optimizers.SGD(0.05)
    loop_over(model, optimizer, 2)
    model.predict(data()[0], verbose=0)
    gone = [weakref.ref(model), weakref.ref(optimizer)]
    del model, optimizer
    keras.utils.clear_session()
    gc.collect()
    assert [one() for one in gone] == [None, None]
    assert row(recording, "SELECT status FROM runs")["status"] in ("running", "finished")


def test_an_optimizer_that_came_with_a_loaded_model_is_no_loop(
    recording: Path, tmp_path: Path
) -> None:
    model = build()
    model.compile("adam", "mse")
    model.fit(*data(), epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    loaded.fit(*data(), verbose=0)
    kerasprov_agent.stop()
    found = rows(recording, "SELECT kind, optimizer FROM runs")
    assert found == [{"kind": "fit", "optimizer": "Adam"}] * 2
    before = rows(recording, "SELECT iterations_before, iterations_after FROM optimizers")
    assert [tuple(one.values()) for one in before] == [(0, 2), (2, 3)]


def test_an_optimizer_that_is_built_but_never_used_is_no_run(recording: Path) -> None:
    model = build()
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    model.compile("adam", "mse")
    model.fit(*data(), verbose=0)
    kerasprov_agent.stop()
    assert row(recording, "SELECT kind, optimizer FROM runs")["optimizer"] == "Adam"


def test_a_program_that_ends_in_its_loop(tmp_path: Path) -> None:
    program = """
import keras, numpy as np
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.ones((8, 4), "float32")
for i in range(9):
    model.train_on_batch(x, x[:, :1])
raise SystemExit(3) if i == 8 else None
"""
    (tmp_path / "train.py").write_text(program)
    done = python("-m", "kerasprov_agent", "train.py", directory=tmp_path)
    assert done.returncode == 3, done.stderr.decode()
    database = tmp_path / "kerasprov.db"
    assert row(database, "SELECT kind, steps FROM runs") == {"kind": "train_on_batch", "steps": 9}


def test_no_loop_is_left_behind() -> None:
    kerasprov_agent.stop()
    kerasprov_agent.start()
    assert not loops._loops
