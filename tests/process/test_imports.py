"""The agent imports nothing that the program does not, but what it is made of itself."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import pytest

from tests.conftest import python, rows

BACKEND = keras.backend.backend()
OURS = {"kerasprov_agent", "sqlite3", "_sqlite3", "wrapt", "encodings"}
"""What it is made of; of `encodings` a host's name needs one."""

# Nothing that makes Keras itself look for TensorFlow, as a seed, a Bidirectional and a save do.
PROGRAM = """
import sys, keras, numpy as np
from keras import layers, optimizers
x = np.random.default_rng(0).random((32, 8, 4), dtype="float32")
y = x.sum((1, 2))[:, None]
class Own(layers.Layer):
    def __init__(self, units=3):
        super().__init__()
        self.dense = layers.Dense(units, activation="relu")
    def call(self, x):
        return self.dense(x)
class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.own, self.flat, self.out = Own(), layers.Flatten(), layers.Dense(1)
    def call(self, x):
        return self.out(self.flat(self.own(x)))
given = keras.Input((8, 4))
h = layers.Conv1D(
    4, 3, padding="same", kernel_regularizer=keras.regularizers.L2(0.01),
    kernel_initializer=keras.initializers.HeNormal(seed=1), kernel_constraint="max_norm",
)(given)
h = layers.RNN([layers.GRUCell(3), layers.LSTMCell(3)], return_sequences=True)(h)
h = layers.LSTM(3, return_sequences=True)(layers.MultiHeadAttention(2, 2)(h, h))
h = layers.Dropout(0.1, seed=1)(layers.GlobalAveragePooling1D()(layers.BatchNormalization()(h)))
functional = keras.Model(given, layers.Dense(1, dtype="mixed_bfloat16")(h))
sequential = keras.Sequential([
    keras.Input((8, 4)), layers.Normalization(mean=0.0, variance=1.0), layers.Flatten(),
    layers.Dense(3, activation=keras.activations.gelu), layers.Dense(1),
])
nested = keras.Sequential([keras.Input((8, 4)), sequential])
schedules = optimizers.schedules
for model, optimizer in (
    (functional, optimizers.AdamW(schedules.CosineDecay(0.1, 10), weight_decay=0.1)),
    (sequential, optimizers.SGD(schedules.PiecewiseConstantDecay([1], [0.1, 0.01]))),
    (Subclassed(), "adam"),
    (nested, optimizers.Lion()),
):
    metrics = [keras.metrics.RootMeanSquaredError(), "mae"]
    model.compile(optimizer, loss=keras.losses.Huber(delta=2.0), metrics=metrics)
    model.fit(x, y, epochs=2, verbose=0, validation_split=0.25, callbacks=[
        keras.callbacks.EarlyStopping("loss"), keras.callbacks.CSVLogger("log.csv"),
        keras.callbacks.LambdaCallback(), keras.callbacks.TerminateOnNaN(),
    ])
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
model.train_on_batch(x, y)
with open("modules", "w") as stream:
    stream.write("\\n".join(sys.modules))
models = {"functional": functional, "sequential": sequential, "nested": nested}
"""
SAVING = """
functional.save("f.keras")
keras.models.load_model("f.keras").fit(x, y, verbose=0)
functional.save_weights("f.weights.h5")
functional.load_weights("f.weights.h5")
keras.models.clone_model(nested)
with open("modules after saving", "w") as stream:
    stream.write("\\n".join(sys.modules))
import json
with open("configs", "w") as stream:
    json.dump({model.name: model.get_config() for model in models.values()}, stream)
"""


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where the program ran without the agent, and under it."""
    places = []
    for name, words in ("plain", ()), ("recorded", ("-m", "kerasprov_agent")):
        places.append(tmp_path_factory.mktemp(name))
        (places[-1] / "train.py").write_text(PROGRAM + SAVING)
        done = python(*words, "train.py", directory=places[-1])
        assert done.returncode == 0, done.stderr.decode()
    return places[0], places[1]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["modules", "modules after saving"])
def test_the_same_modules_are_imported(directories: tuple[Path, Path], when: str) -> None:
    plain, agent = ({*(place / when).read_text().split("\n")} for place in directories)
    more = {name for name in agent - plain if name.partition(".")[0] not in OURS}
    assert more == set()
    if BACKEND != "tensorflow" and when == "modules":
        assert "tensorflow" not in plain  # else this test proves nothing


@pytest.mark.slow
def test_the_configuration_is_the_one_that_keras_gives(directories: tuple[Path, Path]) -> None:
    _, place = directories
    given = json.loads((place / "configs").read_text())
    found = rows(place / "kerasprov.db", "SELECT name, config FROM architecture")
    stored = {row["name"]: json.loads(row["config"]) for row in found if row["config"]}
    assert given.keys() <= stored.keys()
    for name, config in given.items():
        assert stored[name] == config
