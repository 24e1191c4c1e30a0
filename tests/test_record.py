"""What is recorded is what Keras used and returned. The ancestor's defects do not come back."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasprov_agent import clock
from kerasprov_agent.capture.describe import machine
from tests.conftest import ROOT, row, rows


def data(samples: int = 64) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = generator.random((samples, 4), dtype="float32")
    return x, (x.sum(1) > 2).astype("float32")


def build(**compile_arguments: Any) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dropout(0.25),
            keras.layers.Dense(1, activation="sigmoid"),
        ],
        name="small",
    )
    arguments = {"optimizer": "adam", "loss": "binary_crossentropy", "metrics": ["accuracy"]}
    model.compile(**{**arguments, **compile_arguments})
    return model


def history_of(database: Path, run: int = 1) -> dict[str, list[float]]:
    """The recorded metrics in the form of Keras' own history, NaN included."""
    names = rows(database, "SELECT name, column_name FROM metric")
    history: dict[str, list[float]] = {}
    for epoch in rows(database, "SELECT * FROM epoch WHERE run = ? ORDER BY epoch", run):
        nonfinite = json.loads(epoch["nonfinite"] or "{}")
        for metric in names:
            value = epoch[metric["column_name"]]
            if nonfinite.get(metric["name"]) == "NaN":
                value = math.nan
            if value is not None:
                history.setdefault(metric["name"], []).append(value)
    return history


def test_every_metric_of_every_epoch_is_what_keras_reported(recording: Path) -> None:
    x, y = data()
    history = build().fit(x, y, epochs=4, validation_split=0.25, verbose=0)
    assert history_of(recording) == history.history


def test_fit_without_validation_data(recording: Path) -> None:
    history = build().fit(*data(), epochs=3, verbose=0)
    assert history_of(recording) == history.history
    found = row(recording, "SELECT * FROM run")
    assert found["validation_source"] is None and found["validation_data_id"] is None
    assert all(e["validation_seconds"] is None for e in rows(recording, "SELECT * FROM epoch"))


def test_fit_twice_on_one_model_makes_two_runs(recording: Path) -> None:
    model = build()
    first = model.fit(*data(), epochs=2, verbose=0).history
    second = model.fit(*data(), epochs=5, initial_epoch=2, verbose=0).history
    assert (history_of(recording, 1), history_of(recording, 2)) == (first, second)
    runs = rows(recording, "SELECT * FROM run ORDER BY number")
    assert [r["name"] for r in runs] == ["test", "test-2"]
    assert runs[0]["trained_model_id"] == runs[1]["initial_model_id"]
    assert runs[0]["compile_id"] == runs[1]["compile_id"]
    epochs = rows(recording, "SELECT epoch FROM epoch WHERE run = 2 ORDER BY epoch")
    assert [e["epoch"] for e in epochs] == [2, 3, 4]


def test_early_stopping_keeps_every_epoch(recording: Path) -> None:
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=10)
    history = build().fit(*data(), epochs=50, verbose=0, callbacks=[stop])
    assert history_of(recording) == history.history
    found = row(recording, "SELECT * FROM runs")
    assert found["status"] == "finished" and found["stopped_early"] == 1
    assert (found["epochs"], found["epochs_finished"]) == (50, len(history.epoch))


@pytest.mark.parametrize("steps", [None, 2])
@pytest.mark.parametrize("as_dict", [False, True])
def test_the_recorded_evaluation_is_the_returned_one(
    recording: Path, steps: int | None, as_dict: bool
) -> None:
    model = build()
    model.fit(*data(), epochs=2, verbose=0)
    x, y = data(100)
    returned = model.evaluate(x, y, batch_size=16, steps=steps, return_dict=as_dict, verbose=0)
    found = row(recording, "SELECT * FROM evaluation")
    values = list(returned.values()) if as_dict else returned
    names = list(returned) if as_dict else ["loss", "accuracy"]
    assert [found[name] for name in names] == values
    run = row(recording, "SELECT * FROM run")
    assert (found["run_id"], found["model_id"]) == (run["id"], run["trained_model_id"])
    assert (found["status"], found["epoch"], found["batch_size"]) == ("finished", None, 16)
    fed = row(recording, "SELECT * FROM entity WHERE id = ?", found["data_id"])
    assert fed["samples"] == 100


def test_evaluating_within_an_epoch_is_linked_to_it(recording: Path) -> None:
    results: list[Any] = []
    x, y = data()

    class Testing(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            results.append(self.model.evaluate(x[:16], y[:16], verbose=0)[0])

    build().fit(x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=[Testing()])
    found = rows(recording, "SELECT * FROM evaluation ORDER BY started_at")
    assert [f["loss"] for f in found] == results
    assert [f["epoch"] for f in found] == [0, 1]
    run = row(recording, "SELECT * FROM run")
    assert {f["run_id"] for f in found} == {run["id"]}
    assert len({f["model_id"] for f in found} | {run["initial_model_id"]}) == 3


def test_evaluating_a_model_that_was_never_trained(recording: Path) -> None:
    build().evaluate(*data(), verbose=0)
    found = row(recording, "SELECT * FROM evaluation")
    assert found["run_id"] is None and found["loss"] > 0


LONG = "a_metric_whose_name_is_longer_than_any_column_of_the_ancestor_would_ever_have_allowed"


def named_metric(name: str) -> Any:
    def metric(y_true: Any, y_pred: Any) -> Any:
        return keras.ops.mean(keras.ops.abs(y_true - y_pred))

    metric.__name__ = name
    return metric


def test_metric_names_of_any_length_and_new_ones_in_an_old_database(recording: Path) -> None:
    build().fit(*data(), verbose=0)
    names = ["Recall", "recall", "epoch", "seconds", "optimizer", 'odd "name', "run_id", "naïve"]

    class Reporting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs.update((name, epoch + i / 7) for i, name in enumerate(names))

    model = build(metrics=[named_metric(LONG)])
    history = model.fit(*data(), epochs=2, verbose=0, callbacks=[Reporting()])
    assert {LONG, *names} < set(history.history)
    assert history_of(recording, 2) == history.history
    shown = row(recording, "SELECT * FROM epochs WHERE run = 2 AND epoch = 1")
    assert shown["optimizer"] == "Adam" and shown[LONG] == history.history[LONG][1]


def test_more_metrics_than_columns_are_kept_too(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kerasprov_agent.store.schema.METRIC_COLUMN_LIMIT", 3)
    model = build(metrics=[named_metric(f"m{i}") for i in range(6)])
    history = model.fit(*data(), verbose=0).history
    more = json.loads(row(recording, "SELECT * FROM epoch")["more"])
    columns = [r["name"] for r in rows(recording, "SELECT * FROM metric")]
    assert len(columns) == 3
    assert more == {k: v[0] for k, v in history.items() if k not in columns}


def test_nan_and_infinity_stay_what_they_are(recording: Path) -> None:
    x, y = data()

    class Reporting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs.update(up=math.inf, down=-math.inf)

    model = build(loss=lambda t, p: keras.ops.mean(p - t) * float("nan"))
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[Reporting()])
    found = history_of(recording)
    assert [math.isnan(v) for v in found["loss"]] == [
        math.isnan(v) for v in history.history["loss"]
    ]
    assert all(map(math.isnan, found["loss"]))
    assert found["up"] == [math.inf] * 2 and found["down"] == [-math.inf] * 2


class Batches(keras.utils.PyDataset):
    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        self.asked += 1
        x, y = data()
        return x[index * 16 : (index + 1) * 16], y[index * 16 : (index + 1) * 16]


def generator() -> Iterator[Any]:
    while True:
        x, y = data(8)
        yield x, y


def test_a_generator(recording: Path) -> None:
    history = build().fit(generator(), steps_per_epoch=5, epochs=2, verbose=0)
    assert history_of(recording) == history.history
    found = row(recording, "SELECT * FROM run")
    assert (found["steps_per_epoch"], found["batch_size"], found["samples"]) == (5, 8, None)
    assert [e["steps"] for e in rows(recording, "SELECT * FROM epoch")] == [5, 5]


def test_a_finite_generator_of_unknown_length(recording: Path) -> None:
    batches = (pair for _, pair in zip(range(6), generator(), strict=False))
    build().fit(batches, verbose=0)
    assert row(recording, "SELECT steps FROM epoch")["steps"] == 6


def test_a_tf_data_dataset(recording: Path) -> None:
    tf = pytest.importorskip("tensorflow", reason="tf.data comes with TensorFlow")
    dataset = tf.data.Dataset.from_tensor_slices(data()).shuffle(64, seed=1).batch(16).prefetch(1)
    history = build().fit(dataset, epochs=2, validation_data=dataset, verbose=0)
    assert history_of(recording) == history.history
    found = row(recording, "SELECT * FROM run")
    assert (found["steps_per_epoch"], found["batch_size"]) == (4, 16)
    arrays = rows(recording, "SELECT * FROM inputs WHERE used_as = 'training_data'")
    assert [(a["role"], a["shape"], a["dtype"]) for a in arrays] == [
        ("x", "[null, 4]", "float32"),
        ("y", "[null]", "float32"),
    ]


def test_a_pydataset(recording: Path) -> None:
    batches, beside = Batches(), Batches()
    history = build().fit(batches, epochs=2, validation_data=Batches(), verbose=0)
    assert history_of(recording) == history.history
    found = row(recording, "SELECT * FROM run")
    assert (found["steps_per_epoch"], found["validation_source"]) == (4, "validation_data")
    import kerasprov_agent

    kerasprov_agent.stop()
    build().fit(beside, epochs=2, validation_data=Batches(), verbose=0)
    assert batches.asked == beside.asked  # we took nothing out


def test_an_activation_given_inside_dense(recording: Path) -> None:
    build().fit(*data(), verbose=0)
    layers = rows(recording, "SELECT * FROM layers ORDER BY position")
    assert [(r["class_name"], r["activation"], r["units"], r["dropout_rate"]) for r in layers] == [
        ("Dense", "tanh", 8, None),
        ("Dropout", None, None, 0.25),
        ("Dense", "sigmoid", 1, None),
    ]
    run = row(recording, "SELECT * FROM runs")
    assert (run["activation"], run["dropout"], run["layers"]) == ("tanh", 0.25, 3)
    assert run["parameters"] == 4 * 8 + 8 + 8 + 1


@pytest.mark.parametrize("rate", [0.001, 0.01, 1e-7, 0.3, 1 / 3])
def test_the_learning_rate_is_the_literal_the_user_wrote(recording: Path, rate: float) -> None:
    build(optimizer=keras.optimizers.SGD(rate, momentum=0.9)).fit(*data(), verbose=0)
    config = json.loads(row(recording, "SELECT * FROM compile")["optimizer_config"])
    assert (config["learning_rate"], config["momentum"], config["nesterov"]) == (rate, 0.9, False)
    assert row(recording, "SELECT learning_rate FROM runs")["learning_rate"] == rate
    used = row(recording, "SELECT learning_rate FROM epoch")["learning_rate"]
    assert np.float32(used) == np.float32(rate)


def test_compile_with_objects_and_a_schedule(recording: Path) -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5, staircase=True)
    together = 1 if keras.backend.backend() == "torch" else 2  # all that Keras has for torch
    model = build(
        optimizer=keras.optimizers.Adam(schedule, beta_1=0.8, clipnorm=1.0),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=0.1),
        metrics=[keras.metrics.AUC(name="area"), "accuracy"],
        weighted_metrics=["mse"],
        steps_per_execution=together,
    )
    model.fit(*data(), batch_size=16, epochs=2, verbose=0)
    found = row(recording, "SELECT * FROM compile")
    config = json.loads(found["optimizer_config"])
    assert config["learning_rate"]["class_name"] == "ExponentialDecay"
    assert config["learning_rate"]["config"]["initial_learning_rate"] == 0.1
    assert (config["beta_1"], config["clipnorm"]) == (0.8, 1.0)
    assert found["learning_rate"] is None and found["optimizer"] == "Adam"
    assert found["loss"] == "BinaryCrossentropy"
    assert json.loads(found["loss_config"])["config"]["label_smoothing"] == 0.1
    assert json.loads(found["metrics"]) == ["AUC", "accuracy"]
    assert json.loads(found["weighted_metrics"]) == ["mse"]
    assert (found["steps_per_execution"], found["run_eagerly"]) == (together, 0)
    assert found["jit_compile"] in (0, 1)
    params = {p["name"]: p["value"] for p in rows(recording, "SELECT * FROM params")}
    assert params["learning_rate.config.decay_rate"] == 0.5
    rates = [e["learning_rate"] for e in rows(recording, "SELECT * FROM epoch ORDER BY epoch")]
    assert rates == [0.1, pytest.approx(0.05, rel=1e-6)]


def test_learning_rate_in_force_and_after(recording: Path) -> None:
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.1 / 2**epoch)
    reduce = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=10)
    build(optimizer="sgd").fit(*data(), epochs=3, verbose=0, callbacks=[schedule, reduce])
    epochs = rows(recording, "SELECT * FROM epoch ORDER BY epoch")
    assert [e["learning_rate"] for e in epochs] == [0.1, 0.05, 0.025]
    assert epochs[0]["learning_rate_after"] == 0.1
    assert epochs[1]["learning_rate_after"] == pytest.approx(0.005)
    changes = rows(recording, "SELECT epoch, by, old, new FROM changes")
    assert [(c["epoch"], c["by"]) for c in changes] == [
        (0, "LearningRateScheduler"), (1, "LearningRateScheduler"), (1, "ReduceLROnPlateau"),
        (2, "LearningRateScheduler"), (2, "ReduceLROnPlateau"),
    ]  # fmt: skip
    assert all(c["old"] != c["new"] for c in changes)


def test_fit_arguments_callbacks_and_seeds(recording: Path) -> None:
    keras.utils.set_random_seed(21)
    x, y = data()
    stop = keras.callbacks.EarlyStopping("loss", patience=7, restore_best_weights=True)
    build().fit(
        x, y, epochs=2, shuffle=False, class_weight={0: 1.0, 1: 2.0}, verbose=0, callbacks=[stop],
        validation_data=(x[:16], y[:16]), validation_batch_size=8,
    )  # fmt: skip
    params = {(p["source"], p["name"]): p["value"] for p in rows(recording, "SELECT * FROM params")}
    assert params["fit", "shuffle"] == 0 and params["fit", "epochs"] == 2
    assert json.loads(params["fit", "class_weight"]) == {"0": 1.0, "1": 2.0}
    assert params["fit", "validation_batch_size"] == 8
    assert params["seed", "keras"] == 21
    callback = row(recording, "SELECT * FROM callbacks WHERE class_name = 'EarlyStopping'")
    settings = json.loads(callback["settings"])
    assert (settings["patience"], settings["restore_best_weights"]) == (7, True)
    run = row(recording, "SELECT * FROM run")
    assert (run["batch_size"], run["steps_per_epoch"], run["samples"]) == (32, 2, 64)
    assert run["validation_samples"] == 16
    shapes = rows(recording, "SELECT used_as, role, shape, dtype FROM inputs ORDER BY 1, 2")
    assert [tuple(s.values()) for s in shapes] == [
        ("training_data", "x", "[64, 4]", "float32"),
        ("training_data", "y", "[64]", "float32"),
        ("validation_data", "x", "[16, 4]", "float32"),
        ("validation_data", "y", "[16]", "float32"),
    ]


def test_a_validation_split_leaves_fewer_samples(recording: Path) -> None:
    build().fit(*data(70), validation_split=0.2, batch_size=16, verbose=0)
    run = row(recording, "SELECT * FROM run")
    assert (run["samples"], run["validation_samples"]) == (56, 14)
    assert run["validation_source"] == "validation_split"


def test_times_fit_into_each_other(recording: Path) -> None:
    build().fit(*data(), epochs=3, validation_split=0.25, verbose=0)
    run = row(recording, "SELECT * FROM run")
    last = clock.seconds(run["training_started_at"])
    for epoch in rows(recording, "SELECT * FROM epochs ORDER BY epoch"):
        assert epoch["started_at"] >= last - 1e-5
        assert epoch["synchronized"] == 1
        assert 0 < epoch["first_step_seconds"] <= epoch["train_seconds"]
        assert epoch["validation_seconds"] > 0 and epoch["callback_seconds"] > 0
        assert epoch["seconds"] == epoch["train_seconds"] + epoch["validation_seconds"]
        last = epoch["started_at"] + epoch["seconds"] + epoch["callback_seconds"]
        assert epoch["gpu_allocated_seconds"] is None
    assert last <= clock.seconds(run["ended_at"]) + 1e-5


def test_a_failing_fit_keeps_its_epochs(recording: Path) -> None:
    class Failing(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise ValueError("out of luck")

    with pytest.raises(ValueError, match="out of luck"):
        build().fit(*data(), epochs=5, verbose=0, callbacks=[Failing()])
    run = row(recording, "SELECT * FROM runs")
    assert (run["status"], run["exception_type"]) == ("failed", "ValueError")
    assert (run["exception"], run["epochs_finished"]) == ("out of luck", 2)


def test_a_fit_that_fails_before_it_trains(recording: Path) -> None:
    with pytest.raises(Exception):  # noqa: B017 - each backend has its own
        build().fit(np.zeros((8, 9), "float32"), np.zeros(8, "float32"), verbose=0)
    assert row(recording, "SELECT status, epochs_finished FROM runs") == {
        "status": "failed",
        "epochs_finished": 0,
    }


def test_a_fit_within_a_fit_is_a_run_of_its_own(recording: Path) -> None:
    class Inner(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            build().fit(*data(), epochs=2, verbose=0)

    build().fit(*data(), epochs=2, verbose=0, callbacks=[Inner()])
    runs = rows(recording, "SELECT number, parent_id, epochs_finished FROM run ORDER BY number")
    outer = row(recording, "SELECT id FROM run WHERE number = 1")["id"]
    assert [(r["parent_id"], r["epochs_finished"]) for r in runs] == [
        (None, 2), (outer, 2), (outer, 2),
    ]  # fmt: skip


def test_recompiling_makes_a_new_state(recording: Path) -> None:
    model = build()
    model.fit(*data(), verbose=0)
    model.compile("sgd", "mse")
    model.fit(*data(), verbose=0)
    runs = rows(recording, "SELECT * FROM run ORDER BY number")
    assert [r["optimizer"] for r in runs] == ["Adam", "SGD"]
    recompiled = runs[1]["initial_model_id"]
    derived = row(recording, "SELECT * FROM derived WHERE entity_id = ?", recompiled)
    assert derived["source_id"] == runs[0]["trained_model_id"]


class Nested(keras.Model):
    """A subclass whose layers appear when it is first called."""

    def __init__(self) -> None:
        super().__init__(name="nested")
        self.inner = keras.Sequential([keras.layers.Dense(5, activation="relu")], name="inner")
        self.out = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.out(self.inner(x))


def test_a_subclassed_model_is_described_once_built(recording: Path) -> None:
    model = Nested()
    model.compile("adam", "mse")
    model.fit(*data(), verbose=0)
    run = row(recording, "SELECT * FROM runs")
    assert (run["model"], run["parameters"]) == (f"{__name__}.Nested", 4 * 5 + 5 + 5 + 1)
    names = [r["name"] for r in rows(recording, "SELECT * FROM layers ORDER BY position")]
    assert names[0] == "inner" and names[1].startswith("inner/dense")
    assert len(rows(recording, "SELECT * FROM architecture")) == 1


@pytest.mark.parametrize("shape", ["nested", "flat"])
def test_a_frozen_base_does_not_hide_what_the_head_has(recording: Path, shape: str) -> None:
    inputs = keras.Input((4,))
    base = keras.Sequential(
        [keras.layers.Dense(8, "tanh"), keras.layers.Dropout(0.5), keras.layers.Dense(8, "selu")]
    )
    base.trainable = False
    found = inputs
    for layer in [base] if shape == "nested" else base.layers:
        found = layer(found)
    for layer in [
        keras.layers.Dense(6, "relu"), keras.layers.Dropout(0.25), keras.layers.Dense(1, "sigmoid"),
    ]:  # fmt: skip
        found = layer(found)
    model = keras.Model(inputs, found)
    model.compile("adam", "mse")
    model.fit(np.zeros((8, 4)), np.zeros(8), verbose=0)
    run = row(recording, "SELECT activation, dropout, layers FROM runs")
    assert (run["activation"], run["dropout"]) == ("relu", 0.25)


def test_a_convolutional_functional_model(recording: Path) -> None:
    image = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(6, 3, activation="relu")(image)
    features = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(image, keras.layers.Dense(2)(features), name="cnn")
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 8, 8, 3), "float32"), np.zeros((4, 2), "float32"), verbose=0)
    conv = row(recording, "SELECT * FROM layers WHERE class_name = 'Conv2D'")
    assert (conv["filters"], conv["kernel_size"], conv["activation"]) == (6, "[3, 3]", "relu")
    config = json.loads(row(recording, "SELECT config FROM architecture")["config"])
    assert config["name"] == "cnn" and len(config["layers"]) == 4


def test_variables_of_terraform_are_not_tensorflows(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TF_CLI_CONFIG_FILE", "TF_VAR_password", "TF_LOG", "TF_DETERMINISTIC_OPS"):
        monkeypatch.setenv(name, "1")
    found = machine.environment()
    assert found["TF_DETERMINISTIC_OPS"] == "1"
    assert not {"TF_CLI_CONFIG_FILE", "TF_VAR_password", "TF_LOG"} & found.keys()


def test_the_execution_of_an_ordinary_script(digits: Path) -> None:
    found = row(digits, "SELECT * FROM execution")
    script = ROOT / "examples" / "digits.py"
    assert (found["kind"], found["script"], found["arguments"]) == ("script", str(script), "[]")
    assert found["working_directory"] == str(digits.parent)
    assert (found["status"], found["exit_status"]) == ("finished", 0)
    assert found["keras_version"] == keras.__version__
    assert found["backend"] == keras.backend.backend() and found["backend_version"]
    assert found["host"] and found["user"] and found["cpu_count"] >= 1
    assert found["gpus"] == "[]"
    source = row(digits, "SELECT * FROM source WHERE sha256 = ?", found["script_sha256"])
    assert zlib.decompress(source["zlib"]).decode() == script.read_text()
    packages = {p["name"]: p["version"] for p in rows(digits, "SELECT * FROM packages")}
    assert packages["keras"] == keras.__version__ and packages["numpy"] == np.__version__
    run = row(digits, "SELECT * FROM runs")
    assert (run["name"], run["epochs_finished"], run["status"]) == ("digits", 12, "finished")
    assert row(digits, "SELECT accuracy FROM evaluations")["accuracy"] > 0.9
