"""Optimizers: every way to make one, with what it was given and what it trains."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import row, rows

BACKEND = keras.backend.backend()


def train(optimizer: Any, **arguments: Any) -> Any:
    x = np.random.default_rng(0).random((32, 4), dtype="float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", **arguments)
    model.fit(x, x.sum(1), verbose=0)
    return model


class Own(keras.optimizers.SGD):
    """An optimizer with settings that its get_config does not tell."""

    def __init__(self, warmth: float = 0.5, learning_rate: float = 0.03, fuel: str = "oil") -> None:
        super().__init__(learning_rate=learning_rate)
        self.warmth = warmth


@pytest.mark.parametrize(
    ("make", "class_name", "rate", "some"),
    [
        (lambda: "rmsprop", "RMSprop", 0.001, {"rho": 0.9}),
        (lambda: keras.optimizers.Adam(0.002, clipnorm=1.5), "Adam", 0.002, {"clipnorm": 1.5}),
        (
            lambda: {"class_name": "SGD", "config": {"learning_rate": 0.3, "momentum": 0.1}},
            "SGD",
            0.3,
            {"momentum": 0.1},
        ),
        (
            lambda: keras.optimizers.deserialize(
                keras.optimizers.serialize(keras.optimizers.Nadam(0.004))
            ),
            "Nadam",
            0.004,
            {},
        ),
        (lambda: Own(0.75), "Own", 0.03, {"warmth": 0.75, "fuel": "oil", "momentum": 0.0}),
    ],
)
def test_however_it_is_made(
    recording: Path, make: Any, class_name: str, rate: float, some: dict[str, Any]
) -> None:
    train(make())
    found = row(recording, "SELECT * FROM optimizers")
    assert found["class_name"].split(".")[-1] == class_name
    assert found["learning_rate"] == rate and found["attribute"] == "optimizer"
    config = json.loads(found["config"])
    assert {name: config[name] for name in some} == some
    assert row(recording, "SELECT learning_rate FROM runs")["learning_rate"] == rate


def test_when_and_where_it_was_constructed(recording: Path) -> None:
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
    optimizer = keras.optimizers.SGD(0.1)
    model = train(optimizer)
    found = row(recording, "SELECT * FROM optimizers")
    assert found["constructed_in"].endswith(f"test_optimizers.py:{line}")
    assert found["constructed_at"] < row(recording, "SELECT started_at FROM runs")["started_at"]
    assert json.loads(found["variables"]) == [v.path for v in model.trainable_variables]
    assert (found["iterations_before"], found["iterations_after"]) == (0, 1)


def test_what_is_excluded_from_weight_decay(recording: Path) -> None:
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    train(optimizer)
    config = json.loads(row(recording, "SELECT config FROM optimizers")["config"])
    assert "bias" in config["exclude_from_weight_decay"] and config["weight_decay"] == 0.1


def test_of_several_those_that_trained_are_the_runs(recording: Path) -> None:
    class Two(keras.Model):
        """Holds two optimizers; Keras trains with the one that it was compiled with."""

        def __init__(self) -> None:
            super().__init__()
            self.out = keras.layers.Dense(1)
            self.spare_optimizer = keras.optimizers.Adagrad(0.7)

        def call(self, x: Any) -> Any:
            return self.out(x)

    model = Two()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.ones((32, 4), "float32")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    run = row(recording, "SELECT optimizer, learning_rate FROM runs")
    assert run == {"optimizer": "SGD", "learning_rate": 0.1}
    found = rows(recording, "SELECT attribute, class_name, iterations_after FROM optimizers")
    assert [tuple(one.values()) for one in found] == [
        ("optimizer", "SGD", 2),
        ("spare_optimizer", "Adagrad", 0),
    ]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a train_step of TensorFlow")
def test_the_two_of_a_gan(recording: Path) -> None:
    import tensorflow as tf

    class GAN(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.generator, self.critic = keras.layers.Dense(4), keras.layers.Dense(1)

        def compile(self, g: Any, c: Any) -> None:  # type: ignore[override]
            super().compile()
            self.g_optimizer, self.c_optimizer = g, c

        def train_step(self, x: Any) -> dict[str, Any]:
            with tf.GradientTape(persistent=True) as tape:
                loss = tf.reduce_mean(self.critic(self.generator(x)))
            for optimizer, layer in (
                (self.g_optimizer, self.generator),
                (self.c_optimizer, self.critic),
            ):
                variables = layer.trainable_variables
                optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    gan = GAN()
    gan.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(2e-4))
    gan.fit(np.ones((32, 4), "float32"), epochs=2, verbose=0)
    run = row(recording, "SELECT kind, optimizer, learning_rate FROM runs")
    assert run == {"kind": "fit", "optimizer": "Adam", "learning_rate": None}
    found = rows(recording, "SELECT attribute, learning_rate, iterations_after FROM optimizers")
    assert [tuple(one.values()) for one in found] == [
        ("optimizer", 0.001, 0),  # the one that Keras makes, and nobody uses
        ("g_optimizer", 1e-4, 2),
        ("c_optimizer", 2e-4, 2),
    ]
