"""Every form of input: what was fed is told, and nothing of it is consumed, altered or held."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasprov_agent.capture.describe import loaders, tf_data
from tests.conftest import row, rows

BACKEND = keras.backend.backend()


def model(inputs: Any = None, output: int = 1) -> Any:
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(output)])
    made.compile("sgd", "mse")
    return made


def arrays(samples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).random((samples, 4), dtype="float32")
    return x, x.sum(1, keepdims=True)


def fed(database: Path, role: str = "training_data") -> dict[str, Any]:
    """The data set of the last run, with its arrays as (role, path, shape, dtype)."""
    run = rows(database, "SELECT * FROM run ORDER BY number")[-1]
    found = row(database, "SELECT * FROM entity WHERE id = ?", run[f"{role}_id"])
    of = rows(database, "SELECT * FROM array WHERE entity_id = ? ORDER BY position", found["id"])
    return {
        **found,
        "details": json.loads(found["details"] or "{}"),
        "arrays": [(a["role"], a["path"], json.loads(a["shape"]), a["dtype"]) for a in of],
        "run": run,
    }


BOTH = [("x", "", [40, 4], "float32"), ("y", "", [40, 1], "float32")]
OF_BATCHES = [("x", "", [None, 4], "float32"), ("y", "", [None, 1], "float32")]


def test_arrays_with_a_split_and_weights(recording: Path) -> None:
    x, y = arrays()
    model().fit(
        x,
        y,
        sample_weight=np.ones(40, dtype="float64"),
        validation_split=0.25,
        batch_size=16,
        verbose=0,
    )
    found = fed(recording)
    assert found["arrays"] == [*BOTH, ("sample_weight", "", [40], "float64")]
    run = found["run"]
    assert (run["samples"], run["validation_samples"], run["batch_size"]) == (30, 10, 16)
    assert (run["steps_per_epoch"], run["validation_source"]) == (2, "validation_split")


def test_class_weights_are_a_parameter(recording: Path) -> None:
    x, y = arrays()
    model().fit(x, (y > 2).astype("float32"), class_weight={0: 1.0, 1: 2.5}, verbose=0)
    value = row(recording, "SELECT value FROM param WHERE name = 'class_weight'")["value"]
    assert json.loads(value) == {"0": 1.0, "1": 2.5}


def test_pandas(recording: Path) -> None:
    pandas = pytest.importorskip("pandas")
    x, y = arrays()
    frame = pandas.DataFrame(x, columns=["a", "b", "c", "d"])
    model().fit(frame, pandas.Series(y[:, 0], name="total"), verbose=0)
    found = fed(recording)
    assert found["class_name"].endswith("DataFrame")
    assert found["arrays"] == [BOTH[0], ("y", "", [40], "float32")]
    assert found["details"]["columns"] == ["a", "b", "c", "d", "total"]


def test_tensors_of_the_backend(recording: Path) -> None:
    x, y = arrays()
    model().fit(keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y), verbose=0)
    assert fed(recording)["arrays"] == BOTH


def test_dicts_of_arrays(recording: Path) -> None:
    left, right = keras.Input((4,), name="left"), keras.Input((2,), name="right")
    joined = keras.layers.concatenate([left, right])
    outputs = {
        "first": keras.layers.Dense(1, name="first")(joined),
        "second": keras.layers.Dense(1, name="second")(joined),
    }
    made = keras.Model({"left": left, "right": right}, outputs)
    made.compile("sgd", {"first": "mse", "second": "mae"})
    x, y = arrays()
    inputs = {"left": x, "right": x[:, :2]}
    made.fit(inputs, {"first": y, "second": y}, verbose=0)
    assert fed(recording)["arrays"] == [
        ("x", "left", [40, 4], "float32"),
        ("x", "right", [40, 2], "float32"),
        ("y", "first", [40, 1], "float32"),
        ("y", "second", [40, 1], "float32"),
    ]


def test_a_pipeline_of_tf_data(recording: Path, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    x, y = arrays()
    for i in range(2):
        lines = [
            ",".join(map(str, [*a, *b]))
            for a, b in zip(x[20 * i :][:20], y[20 * i :][:20], strict=True)
        ]
        (tmp_path / f"part-{i}.csv").write_text("\n".join(lines))

    def parse(line: Any) -> Any:
        values = tf.io.decode_csv(line, [0.0] * 5)
        return tf.stack(values[:4]), tf.stack(values[4:])

    files = [str(tmp_path / f"part-{i}.csv") for i in range(2)]
    dataset = (
        tf.data.TextLineDataset(files)
        .map(parse)
        .shuffle(64, seed=7)
        .batch(8, drop_remainder=True)
        .prefetch(1)
    )
    valid = tf.data.Dataset.from_tensor_slices((x, y)).batch(10)
    model().fit(dataset, validation_data=valid, verbose=0)
    found = fed(recording)
    assert found["batch_size"] == 8 == found["run"]["batch_size"]
    assert found["arrays"] == [("x", "", [8, 4], "float32"), ("y", "", [8, 1], "float32")]
    steps = found["details"]["steps"]
    assert [one["name"] for one in steps][-5:] == [
        "TextLine",
        "Map",
        "Shuffle",
        "Batch",
        "Prefetch",
    ]
    shuffle = next(one for one in steps if one["name"] == "Shuffle")
    assert shuffle["buffer_size"] == 64 and shuffle["seed"] == 7
    assert shuffle["reshuffle_each_iteration"] is True
    assert next(one for one in steps if one["name"] == "Batch")["drop_remainder"] is True
    assert "parse" in next(one for one in steps if one["name"] == "Map")["function"]
    assert found["details"]["files"] == {"count": 2, "directory": str(tmp_path), "first": files}
    validation = fed(recording, "validation_data")
    assert (validation["batches"], validation["batch_size"]) == (4, 10)
    assert (found["run"]["samples"], found["run"]["validation_samples"]) == (None, 40)


PIPELINES: dict[str, tuple[Any, bool]] = {
    # what is made of 37 samples in a row, and whether it is known how many come out
    "plain": (lambda d: d, True),
    "batches": (lambda d: d.batch(8), True),
    "whole batches": (
        lambda d: d.shuffle(9).map(lambda x: x * 2).batch(8, drop_remainder=True),
        True,
    ),
    "parallel": (
        lambda d: d.map(lambda x: x, num_parallel_calls=2).batch(8, num_parallel_calls=2),
        True,
    ),
    "the first": (lambda d: d.take(11).cache().batch(4).prefetch(1), True),
    "the first batches": (lambda d: d.batch(8).take(4), True),
    "all batches": (lambda d: d.batch(8).take(-1).take(99), True),
    "the last": (lambda d: d.skip(5).batch(8).skip(1), True),
    "the last batch": (lambda d: d.batch(8).skip(4), True),
    "none": (lambda d: d.skip(99).batch(8), True),
    "twice": (lambda d: d.repeat(2).batch(8), True),
    "batches twice": (lambda d: d.batch(8).repeat(2), True),
    "chosen": (lambda d: d.filter(lambda x: x > 3).batch(8), False),
    "unbatched": (lambda d: d.batch(8).unbatch().batch(4), False),
    "batched twice": (lambda d: d.batch(2).batch(3), False),
    "flattened": (lambda d: d.flat_map(lambda x: tf_dataset([x, x])).batch(8), False),
    "endless": (lambda d: d.repeat().batch(8), False),
    "joined": (lambda d: d.concatenate(d).batch(8), False),
}


def tf_dataset(values: Any) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(values)


@pytest.mark.parametrize("name", PIPELINES)
def test_samples_of_a_pipeline(name: str) -> None:
    pytest.importorskip("tensorflow")
    make, is_known = PIPELINES[name]
    dataset = make(tf_dataset(np.arange(37.0)))
    told = tf_data.samples(dataset)
    assert told == (sum(np.size(batch) for batch in dataset) if is_known else None)
    if is_known:
        both = (dataset, dataset)
        assert tf_data.samples(type(dataset).zip(both)) == told


def test_texts_are_not_files(recording: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices((["one", "two"], [1.0, 2.0])).batch(1)
    model().fit(dataset.map(lambda text, value: (tf.ones((1, 4)), value)), verbose=0)
    found = fed(recording)
    assert "files" not in found["details"] and found["arrays"][0][2] == [1, 4]


class Batches(keras.utils.PyDataset):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.x, self.y = arrays()
        self.asked: list[int] = []
        self.flip = True

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        self.asked.append(index)
        return self.x[10 * index :][:10], self.y[10 * index :][:10]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_py_dataset(recording: Path, workers: int) -> None:
    import kerasprov_agent

    kerasprov_agent.stop()
    plain = Batches(workers=workers)
    model().fit(plain, epochs=2, shuffle=False, verbose=0)
    kerasprov_agent.start()
    dataset = Batches(workers=workers)
    model().fit(dataset, epochs=2, shuffle=False, verbose=0)
    assert sorted(dataset.asked) == sorted(plain.asked)  # no batch was asked for besides
    found = fed(recording)
    assert (found["batches"], found["batch_size"], found["run"]["batch_size"]) == (4, 10, 10)
    assert found["arrays"] == OF_BATCHES
    assert found["details"]["workers"] == workers and found["details"]["flip"] is True


def test_a_generator(recording: Path) -> None:
    x, y = arrays()
    given: list[int] = []

    def endless() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            given.append(1)
            yield x[:8], y[:8]

    import kerasprov_agent

    kerasprov_agent.stop()
    model().fit(endless(), steps_per_epoch=3, epochs=2, verbose=0)
    kerasprov_agent.start()
    before, given[:] = len(given), []
    model().fit(endless(), steps_per_epoch=3, epochs=2, verbose=0)
    if BACKEND != "tensorflow":  # which asks ahead, as far as it gets
        assert len(given) == before
    found = fed(recording)
    assert found["class_name"] == "generator" and found["batches"] is None
    assert (found["batch_size"], found["run"]["steps_per_epoch"]) == (8, 3)
    assert found["arrays"] == OF_BATCHES
    assert found["details"]["function"].endswith("endless")
    model().evaluate(endless(), steps=2, verbose=0)
    test_data = rows(recording, "SELECT * FROM entity WHERE name = 'test_data'")
    assert [one["batch_size"] for one in test_data] == [8]


def test_a_data_loader(recording: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, Subset, TensorDataset

    x, y = arrays()
    dataset = TensorDataset(torch.tensor(x), torch.tensor(y))
    loader = DataLoader(
        Subset(dataset, range(32)),
        batch_size=16,
        shuffle=True,
        drop_last=True,
        generator=torch.Generator().manual_seed(11),
    )
    model().fit(loader, verbose=0)
    found = fed(recording)
    assert (found["samples"], found["batches"], found["batch_size"]) == (32, 2, 16)
    assert found["run"]["samples"] == 32
    uneven = DataLoader(dataset, batch_size=16, drop_last=True)
    assert [loaders.samples(one) for one in (loader, uneven)] == [32, len(x) // 16 * 16]
    chosen = torch.utils.data.WeightedRandomSampler([1.0] * len(x), 7)
    assert loaders.samples(DataLoader(dataset, batch_size=2, sampler=chosen)) is None
    assert found["arrays"] == BOTH
    assert found["details"]["shuffle"] is True and found["details"]["seed"] == 11
    assert found["details"]["drop_last"] is True and found["details"]["sampler"] == "RandomSampler"


def test_predict_in_a_callback_does_not_pass_for_validation(recording: Path) -> None:
    x, y = arrays()

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.predict(x[:6], verbose=0)

    model().fit(x, y, verbose=0, callbacks=[Look()])
    run = fed(recording)["run"]
    assert run["validation_samples"] is None and run["validation_data_id"] is None


class Owned(np.ndarray):
    """An array that can be watched."""


def test_nothing_is_held(recording: Path) -> None:
    x, y = arrays()
    dataset = Batches()
    watched = x.view(Owned)
    made = model()
    made.fit(watched, y, verbose=0)
    made.fit(dataset, verbose=0)
    references = [weakref.ref(watched), weakref.ref(dataset)]
    del watched, dataset
    made.fit(x, y, verbose=0)  # Keras keeps the last input itself
    gc.collect()
    # TensorFlow itself keeps the functions of generators, and with them a PyDataset.
    gone = references[:1] if BACKEND == "tensorflow" else references
    assert [reference() for reference in gone] == [None] * len(gone)
