"""Programs whose numbers, models, callbacks and inputs are not of the usual types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import TINY, recorded, row, rows


def ok(directory: Path, script: str, **variables: str) -> tuple[Path, str]:
    """Run a script under the agent; its database and what it printed."""
    done = recorded(directory, script, **variables)
    assert done.returncode == 0, done.stderr.decode()
    assert b"internal error" not in done.stderr
    return directory / "kerasprov.db", done.stdout.decode()


def test_numbers_of_any_library_are_numbers(tmp_path: Path) -> None:
    script = (
        TINY
        + """
from decimal import Decimal
from fractions import Fraction
whole = int if keras.backend.backend() == "torch" else np.int64  # torch takes no other
class Odd(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.patience, self.share, self.rate = np.int64(4), Fraction(1, 4), np.float32(0.5)
    def on_epoch_end(self, epoch, logs=None):
        logs["decimal"], logs["text"], logs["huge"] = Decimal("0.25"), "3.5", 10**400
        logs["flag"], logs["whole"] = np.bool_(True), np.int16(7)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
model.compile(
    keras.optimizers.Adam(np.float64(0.01), beta_1=np.float32(0.5)), "mse",
    steps_per_execution=np.int64(1),
)
model.fit(
    x, y, epochs=np.int64(3), batch_size=whole(16), validation_split=np.float32(0.25),
    shuffle=np.bool_(True), initial_epoch=np.uint8(1), validation_freq=1,
    class_weight={np.int64(0): np.float32(1), np.int64(1): 2}, verbose=False, callbacks=[Odd()],
)
model.evaluate(x, y, batch_size=whole(8), verbose=0)
"""
    )
    database, _ = ok(tmp_path, script)
    run = row(database, "SELECT * FROM run")
    assert (run["status"], run["epochs_planned"], run["epochs_finished"]) == ("finished", 3, 2)
    assert (run["batch_size"], run["samples"], run["stopped_early"]) == (16, 48, 0)
    params = {(p["source"], p["name"]): p["value"] for p in rows(database, "SELECT * FROM param")}
    assert params["fit", "epochs"] == 3 and params["fit", "initial_epoch"] == 1
    assert params["fit", "validation_split"] == 0.25 and params["fit", "shuffle"] == 1
    assert json.loads(params["fit", "class_weight"]) == {"0": 1.0, "1": 2}
    assert params["optimizer", "learning_rate"] == pytest.approx(0.01)
    assert params["optimizer", "beta_1"] == 0.5
    epoch = rows(database, "SELECT * FROM epoch")[-1]
    assert (epoch["decimal"], epoch["flag"], epoch["whole"]) == (0.25, 1.0, 7.0)
    more = json.loads(epoch["more"])
    assert more == {"text": "3.5", "huge": 10**400}
    settings = json.loads(
        row(database, "SELECT settings FROM callback WHERE class_name LIKE '%Odd'")["settings"]
    )
    assert settings == {"patience": 4, "share": 0.25, "rate": 0.5}
    assert row(database, "SELECT batch_size FROM evaluation")["batch_size"] == 8


def test_metrics_that_are_vectors_keep_their_values(tmp_path: Path) -> None:
    script = """
import keras, numpy as np
x = np.random.rand(60, 4).astype("float32")
y = np.eye(3, dtype="float32")[np.arange(60) % 3]
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
model.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score(average=None)])
history = model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0).history
print([np.asarray(values[-1]).tolist() for name, values in sorted(history.items()) if "f1" in name])
print(np.asarray(model.evaluate(x, y, verbose=0, return_dict=True)["f1_score"]).tolist())
"""
    database, output = ok(tmp_path, script)
    (trained, validated), evaluated = map(json.loads, output.splitlines())
    epoch = rows(database, "SELECT * FROM epochs")[-1]
    more = json.loads(epoch["more"])
    assert more == {"f1_score": trained, "val_f1_score": validated}
    assert [epoch[f"val_f1_score[{i}]"] for i in range(3)] == validated
    evaluation = row(database, "SELECT * FROM evaluations")
    assert json.loads(evaluation["more"]) == {"f1_score": evaluated}
    assert [evaluation[f"f1_score[{i}]"] for i in range(3)] == evaluated


def test_models_are_known_by_identity(tmp_path: Path) -> None:
    script = (
        TINY
        + """
from dataclasses import dataclass
@dataclass
class Unhashable(keras.Model):
    units: int = 2
    def __post_init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(self.units)
        self.out = keras.layers.Dense(1)
    def call(self, x):
        return self.out(self.dense(x))
class Alike(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(1)
    def call(self, x):
        return self.out(x)
    def __eq__(self, other):
        return type(self) is type(other)
    def __hash__(self):
        return 7
one, trained, twin = Unhashable(3), Alike(), Alike()
for model in (trained, twin):
    model.compile("sgd", "mse")
trained.fit(x, y, epochs=1, verbose=0)
twin.evaluate(x, y, verbose=0)
trained.evaluate(x, y, verbose=0)
one.predict(x, verbose=0)
twin.train_on_batch(x, y)
"""
    )
    database, _ = ok(tmp_path, script)
    models = [one["model"] for one in rows(database, "SELECT model FROM runs ORDER BY run")]
    assert models == ["Alike", "Alike"]
    run_of = [one["run"] for one in rows(database, "SELECT run FROM evaluations ORDER BY id")]
    assert run_of == [None, 1]
    predicted = row(database, "SELECT run, model_id FROM activities WHERE kind = 'predict'")
    assert predicted["run"] is None
    query = "SELECT class_name FROM entity WHERE id = ?"
    assert row(database, query, predicted["model_id"])["class_name"] == "Unhashable"


def test_callbacks_of_the_program_that_bear_a_name_of_keras(tmp_path: Path) -> None:
    script = (
        TINY
        + """
class EarlyStopping(keras.callbacks.Callback):
    stopped_epoch = "never"
class ModelCheckpoint(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.save("own.keras")
class BackupAndRestore(keras.callbacks.Callback):
    backup_dir = object()
class TerminateOnNaN(keras.callbacks.Callback):
    pass
class ReduceLROnPlateau(keras.callbacks.Callback):
    factor = []
class Checkpoint(keras.callbacks.ModelCheckpoint):
    pass
class Bare(keras.callbacks.EarlyStopping):
    def __init__(self):
        keras.callbacks.Callback.__init__(self)
    def on_train_begin(self, logs=None): pass
    def on_epoch_end(self, epoch, logs=None): pass
    def on_train_end(self, logs=None): pass
model.fit(x, y, epochs=2, initial_epoch=1, verbose=0, callbacks=[
    EarlyStopping(), ModelCheckpoint(), BackupAndRestore(), TerminateOnNaN(), ReduceLROnPlateau(),
    Checkpoint("derived.keras"), Bare(),
])
"""
    )
    database, _ = ok(tmp_path, script)
    assert row(database, "SELECT status FROM run")["status"] == "finished"
    kinds = [one["kind"] for one in rows(database, "SELECT kind FROM event")]
    assert kinds == ["saved", "saved"]
    roles = rows(database, "SELECT path, role FROM file WHERE path LIKE '%.keras' ORDER BY path")
    assert [(Path(one["path"]).name, one["role"]) for one in roles] == [
        ("derived.keras", "checkpoint"),
        ("own.keras", "model"),
    ]


def test_a_resumed_fit_that_did_all_it_was_asked_is_not_stopped_early(tmp_path: Path) -> None:
    script = (
        TINY
        + """
class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 6
model.fit(x, y, epochs=5, initial_epoch=3, verbose=0)
model.fit(x, y, epochs=5, initial_epoch=5, verbose=0)
model.fit(x, y, epochs=9, initial_epoch=5, verbose=0, callbacks=[Stop()])
"""
    )
    database, _ = ok(tmp_path, script)
    query = "SELECT epochs_finished, stopped_early FROM run ORDER BY number"
    found = [tuple(one.values()) for one in rows(database, query)]
    assert found == [(2, 0), (0, 0), (2, 1)]


def test_samples_are_those_of_an_epoch(tmp_path: Path) -> None:
    script = (
        TINY
        + """
model.fit(x, y, steps_per_epoch=3, batch_size=8, validation_data=(x, y), validation_steps=2,
          validation_batch_size=5, epochs=2, verbose=0)
model.fit(x, y, steps_per_epoch=8, batch_size=8, validation_split=0.5, epochs=1, verbose=0)
"""
    )
    database, _ = ok(tmp_path, script)
    query = "SELECT samples, validation_samples FROM run ORDER BY number"
    assert [tuple(one.values()) for one in rows(database, query)] == [(24, 10), (32, 32)]


INPUTS = (
    TINY
    + """
counts = {}
def count(name):
    counts[name] = counts.get(name, 0) + 1
class Pairs(keras.utils.PyDataset):
    def __len__(self):
        count("len")
        return 2
    def __getitem__(self, i):
        count("getitem")
        return x[i * 32 : i * 32 + 32], y[i * 32 : i * 32 + 32]
    @property
    def batch_size(self):
        count("batch_size")
        return 32
    @property
    def dataset(self):
        count("dataset")
        return self
    @property
    def shape(self):
        count("shape")
        return (64, 4)
def batches():
    while True:
        yield x[:16], y[:16]
model.fit(Pairs(), batch_size=64, epochs=2, validation_data=Pairs(), verbose=0)
print(sorted(counts.items()))
counts.clear()
model.evaluate(Pairs(), verbose=0)
model.predict(Pairs(), verbose=0)
print(sorted(counts.items()))
try:
    model.fit(batches(), batch_size=64, steps_per_epoch=2, verbose=0)
except ValueError as error:
    print(error)
"""
)


@pytest.mark.slow
def test_nothing_of_an_input_is_called_more_often_and_its_own_batches_count(tmp_path: Path) -> None:
    database, output = ok(tmp_path, INPUTS)
    (tmp_path / "plain").mkdir()
    _, plain = ok(tmp_path / "plain", INPUTS, KERASPROV_DISABLED="1")
    assert output == plain
    sizes = rows(database, "SELECT batch_size, steps_per_epoch FROM run ORDER BY number")
    assert tuple(sizes[0].values()) == (32, 2)
    assert sizes[1]["batch_size"] == 16
    fed = rows(database, "SELECT batches FROM entity WHERE class_name LIKE '%Pairs' ORDER BY id")
    assert [one["batches"] for one in fed][:2] == [2, 2]


@pytest.mark.parametrize("kind", ["tf.data", "DataLoader"])
def test_the_batch_size_of_an_input_that_batches_itself(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow" if kind == "tf.data" else "torch", reason="another backend")
    feed = {
        "tf.data": "import tensorflow as tf\nfeed = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)",
        "DataLoader": """
import torch
class Own(torch.utils.data.Dataset):
    asked = 0
    def __len__(self):
        Own.asked += 1
        return 64
    def __getitem__(self, i):
        return torch.tensor(x[i]), torch.tensor(y[i:i + 1])
feed = torch.utils.data.DataLoader(Own(), batch_size=8)
model.fit(feed, epochs=1, verbose=0)
print(Own.asked)
feed = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y[:, None])), batch_size=8)
""",
    }[kind]
    script = f"{TINY}\n{feed}\nmodel.fit(feed, batch_size=64, epochs=1, verbose=0)\n"
    database, output = ok(tmp_path, script)
    run = rows(database, "SELECT batch_size, samples FROM run ORDER BY number")[-1]
    assert run["batch_size"] == 8
    if kind == "DataLoader":
        (tmp_path / "plain").mkdir()
        assert output == ok(tmp_path / "plain", script, KERASPROV_DISABLED="1")[1]


HELD = """
import keras, numpy as np, tensorflow as tf
x = np.random.rand(32, 4).astype("float32")
y = x.sum(1)
class Holder:
    pass
class Own(keras.Model):
    def __init__(self, rates):
        super().__init__()
        self.parts = [keras.layers.Dense(4), keras.layers.Dense(1)]
        self.holder = Holder()
        self.holder.made = {"of": [keras.optimizers.SGD(rate) for rate in rates]}
    def call(self, x):
        return self.parts[1](self.parts[0](x))
    def train_step(self, data):
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = keras.ops.mean((keras.ops.squeeze(self(x), -1) - y) ** 2)
        optimizers = self.holder.made["of"]
        whole = [self.trainable_variables] if len(optimizers) == 1 else [
            part.trainable_variables for part in self.parts]
        for optimizer, variables in zip(optimizers, whole):
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        optimizers[0].learning_rate.assign(optimizers[0].learning_rate * 0.5)
        return {"loss": loss}
for rates in (0.5,), (0.25, 0.75):
    model = Own(rates)
    model.compile()
    model.fit(x, y, epochs=2, batch_size=32, verbose=0)
"""


def test_rates_of_optimizers_that_a_model_holds_somewhere(tmp_path: Path) -> None:
    """Compiled steps change them; Keras' own, which `compile()` made, trains nothing."""
    pytest.importorskip("tensorflow", reason="another backend")
    database, _ = ok(tmp_path, HELD, KERAS_BACKEND="tensorflow")
    query = "SELECT run, epoch, learning_rate, learning_rate_after FROM epoch ORDER BY run, epoch"
    told = [tuple(one.values()) for one in rows(database, query)]
    assert told[:2] == [(1, 0, 0.5, 0.25), (1, 1, 0.25, 0.125)]
    assert told[2:] == [(2, 0, None, None), (2, 1, None, None)]  # two of them train
    query = (
        "SELECT attribute, learning_rate, iterations_after FROM optimizers WHERE run = ? "
        "ORDER BY position"
    )
    assert [tuple(one.values()) for one in rows(database, query, 2)] == [
        ("optimizer", 0.001, 0),
        ("holder.made.of.0", 0.25, 2),
        ("holder.made.of.1", 0.75, 2),
    ]
    changes = rows(database, 'SELECT name, old, new FROM changes WHERE run = 2 ORDER BY "at"')
    assert [tuple(one.values()) for one in changes] == [
        ("holder.made.of.0.learning_rate", 0.25, 0.125),
        ("holder.made.of.0.learning_rate", 0.125, 0.0625),
    ]
