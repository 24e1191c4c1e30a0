"""Classes of the program's own whose attributes bear Keras' names and mean something else."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import keras
import numpy as np
import pytest

from kerasprov_agent.capture.describe import callbacks, models, optimizers
from kerasprov_agent.capture.describe.values import plain, to_json

OF_LAYERS = (
    "layers", "activation", "units", "filters", "kernel_size", "rate", "dropout", "output",
    "compute_dtype", "trainable", "built", "weights", "trainable_weights", "name",
    "jit_compile", "run_eagerly", "steps_per_execution", "optimizer", "loss", "learning_rate",
    "params", "model", "history", "get_config", "call", "input", "shape", "dtype",
)  # fmt: skip
OF_CALLBACKS = (
    "patience", "best", "monitor", "factor", "stopped_epoch", "wait", "filepath", "schedule",
    "get_config", "name", "learning_rate", "epochs", "rate", "layers", "units",
)  # fmt: skip


class Raising:
    """Answers nothing that it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("==")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __iter__(self) -> Any:
        raise RuntimeError("iter")

    __hash__ = None  # type: ignore[assignment]


VALUES = (
    3, -1.5, True, "relu", "", b"bytes", None, float("nan"), 10**400, Decimal("0.1"), [], [1, 2],
    ["a", None], {}, {"layers": 3}, {1: [2]}, (), (3, "x"), {1, 2}, np.int64(4), np.float32(0.5),
    np.ones(3), np.array(2), np.array("text"), np.bool_(False), object(), object, len, Raising(),
    range(3), lambda: 1, Exception("one"), [object()], ["relu", {"a": Raising()}],
)  # fmt: skip


def odd(base: type, names: tuple[str, ...], choice: random.Random, **kept: Any) -> type:
    """A class derived from `base` in which some names hold, or raise, anything."""
    body: dict[str, Any] = {}
    for name in choice.sample(names, choice.randint(1, 5)):
        value = choice.choice(VALUES)
        body[name] = (
            property(lambda self: 1 / 0)
            if choice.random() < 0.2
            else property(lambda self, value=value: value, lambda self, other: None)
        )
    return type("Odd", (base,), {**body, **kept, "__module__": "__main__"})


@pytest.mark.parametrize("seed", range(0, 400, 100))
def test_models_are_described_all_the_same(seed: int) -> None:
    for number in range(seed, seed + 100):
        choice = random.Random(number)
        part = keras.layers.Dense(3)
        part.build((None, 4))
        try:
            layer = odd(keras.layers.Layer, OF_LAYERS, choice)()
        except Exception:
            continue  # Keras itself can't do with it
        held = property(lambda _, held=(part, layer): list(held))
        facts = models.architecture(type("Holder", (keras.Model,), {"layers": held})())
        assert [one["class_name"] for one in facts["layers"]][:2] == ["Dense", "Odd"], number
        assert facts["layers"][0]["units"] == 3 and facts["layers"][0]["parameters"] == 15
        assert json.loads(to_json(facts))["id"] == facts["id"]


@pytest.mark.parametrize("seed", range(0, 200, 100))
def test_a_model_whose_own_names_are_odd(seed: int) -> None:
    for number in range(seed, seed + 100):
        try:
            model = odd(keras.Model, OF_LAYERS, random.Random(number))()
        except Exception:
            continue
        facts = models.architecture(model)
        assert facts["class_name"] == "Odd" and json.loads(to_json(facts))
        assert json.loads(to_json(models.compiled(model, {"loss": "mse", "metrics": [Raising()]})))
        assert all(optimizers.is_optimizer(one) for _, one in optimizers.of_model(model))


def test_callbacks_are_described_all_the_same() -> None:
    for number in range(300):
        choice = random.Random(number)
        base = choice.choice((keras.callbacks.Callback, keras.callbacks.EarlyStopping))
        try:
            one = odd(base, OF_CALLBACKS, choice)()
        except Exception:
            continue
        for name in choice.sample(OF_CALLBACKS, 3):
            try:
                setattr(one, name, choice.choice(VALUES))
            except AttributeError:
                continue
        (facts,) = callbacks.callbacks([one])
        assert facts["class_name"] == "Odd" and json.loads(to_json(facts)), number


def test_optimizers_are_described_all_the_same() -> None:
    for number in range(200):
        choice = random.Random(number)
        one = keras.optimizers.Adam(0.25)
        for name in ("note", "rates", "layers", "units", "learning_rates", "model"):
            setattr(one, name, choice.choice(VALUES))
        facts = optimizers.optimizer(one, {"momentum": plain(choice.choice(VALUES))})
        assert (facts["class_name"], facts["learning_rate"]) == ("Adam", 0.25), number
        assert json.loads(to_json(facts)), number
