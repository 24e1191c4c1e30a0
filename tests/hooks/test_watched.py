"""A program that watches the operations of its backend sees none of ours."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import pytest

from tests.conftest import python, rows

BACKEND = keras.backend.backend()

TRAININGS = """
import keras, numpy as np
keras.utils.set_random_seed(0)
x = np.random.default_rng(0).random((32, 4), dtype="float32")
y = x.sum(1, keepdims=True)
def build(optimizer, **arguments):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"], **arguments)
    return model
class Own(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 0.25 / (epoch + 1)
class OwnRate(keras.optimizers.SGD):
    def get_config(self):
        return {**super().get_config(), "twice": 2 * float(self._learning_rate)}
decay = keras.optimizers.schedules.ExponentialDecay(0.125, 2, 0.5)
sgd = keras.optimizers.SGD
by_keras = [
    keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 / (epoch + 1)),
    keras.callbacks.ReduceLROnPlateau("loss", patience=9),
]
def train():
    model = build(sgd(0.125))
    model.fit(x, y, epochs=2, verbose=0, validation_split=0.25)
    model.evaluate(x, y, verbose=0)
    model.save("model.keras")
    keras.models.load_model("model.keras").fit(x, y, verbose=0)
    build(sgd(0.25)).fit(x, y, epochs=2, verbose=0, callbacks=by_keras)
    build(sgd(decay)).fit(x, y, epochs=2, verbose=0)
    build(keras.optimizers.Adam(0.01)).fit(x, y, epochs=2, verbose=0, callbacks=[Own()])
    scaled = keras.optimizers.LossScaleOptimizer(sgd(0.125))
    build(scaled, jit_compile=False).fit(x, y, epochs=2, verbose=0)
    build(OwnRate(0.5)).fit(x, y, verbose=0)
    model = build(keras.optimizers.SGD(0.5, use_ema=True))
    for _ in range(2):
        model.train_on_batch(x, y)
"""
TENSORFLOW = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
import tensorflow as tf
from collections import Counter
from tensorflow.python.framework import op_callbacks
seen = Counter()
def see(kind, *_, **__): seen[kind if isinstance(kind, str) else kind.decode()] += 1
def loop():
    model, optimizer = build("sgd"), keras.optimizers.Adam(0.02)
    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x) - y) ** 2)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
    for _ in range(2): step()
    optimizer.learning_rate = 0.5
    step()
def pipeline():
    made = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(32, seed=1).batch(8)
    build("sgd").fit(made.map(lambda a, b: (a, b)), validation_data=made, verbose=0)
def all_of_it(): train(); loop(); pipeline()
tf.debugging.set_log_device_placement(True)
all_of_it()
tf.debugging.set_log_device_placement(False)
op_callbacks.add_op_callback(see)
all_of_it()
op_callbacks.remove_op_callback(see)
print(sorted((kind, number) for kind, number in seen.items() if "__inference" not in kind))
"""
TORCH = """
import torch
from collections import Counter
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
seen = Counter()
class Dispatched(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        seen[str(function)] += 1
        return function(*args, **(kwargs or {}))
with Dispatched():
    train()
with torch.autograd.profiler.profile() as profile:
    train()
found = Counter(event.name for event in profile.function_events)
print(sorted(seen.items()), sorted(found.items()))
"""
JAX = """
import jax
with jax.log_compiles(), jax.debug_nans(True), jax.transfer_guard("log"):
    train()
with jax.transfer_guard("allow"):
    train()
"""
WATCHED = {"tensorflow": TENSORFLOW, "torch": TORCH, "jax": JAX}
TELLING = re.compile(r"Executing op|Compiling|compil|transfer|\bNaN|Cast|Warning|Error")


def told(text: bytes) -> list[str]:
    """The lines of a log that tell of operations, without times, addresses and durations."""
    lines = text.decode().splitlines()
    return [
        re.sub(r"0x[0-9a-f]+|\d+\.\d+(e-\d+)? sec|^.*?\] ", "", line)
        for line in lines
        if TELLING.search(line) and "cuInit" not in line
    ]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of trainings that were watched, and seen to be the same as without the agent."""
    results = []
    for words in ((), ("-m", "kerasprov_agent")):
        directory = tmp_path_factory.mktemp("watched")
        (directory / "train.py").write_text(TRAININGS + WATCHED[BACKEND])
        done = python(*words, "train.py", directory=directory)
        assert done.returncode == 0, done.stderr.decode()
        results.append((done.stdout.splitlines(), told(done.stderr)))
    assert results[0] == results[1]
    assert results[0][0] or results[0][1]
    return directory / "kerasprov.db"


@pytest.mark.slow
def test_the_log_and_the_callbacks_of_a_program_see_nothing_of_ours(watched: Path) -> None:
    assert rows(watched, "SELECT status FROM run WHERE status <> 'finished'") == []


@pytest.mark.slow
def test_what_is_certain_is_told_all_the_same(watched: Path) -> None:
    found = rows(watched, "SELECT run, learning_rate AS rate FROM epochs WHERE run <= 5")
    rates: dict[int, list[float | None]] = {}
    for one in found:
        rates.setdefault(one["run"], []).append(one["rate"])
    assert rates[1] == [0.125, 0.125]
    assert rates[3] == [0.5, 0.25]
    unseen = BACKEND == "jax"  # where a number is fetched without an operation
    assert rates[2] == ([0.125] if unseen else [None])
    assert rates[4] == [None, None]  # a schedule is computed by operations
    assert rates[5] == ([0.01, 0.25] if unseen else [None, None])
    (config,) = rows(watched, "SELECT config FROM optimizers WHERE run = 4")
    assert "ExponentialDecay" in config["config"]
