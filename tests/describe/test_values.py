"""Any object becomes a plain value, without being altered or kept."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from kerasprov_agent.capture.describe.optimizers import optimizer
from kerasprov_agent.capture.describe.values import flat, plain, shortest, to_json


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array(2.0), 2.0),
        (np.zeros((2, 3)), "<ndarray [2, 3] float64>"),
        ({1: (2, {3})}, {"1": [2, [3]]}),
        (b"abc", "<3 bytes>"),
        (len, "len"),
        (int, "int"),
        (True, True),
        (None, None),
        (2**70, 2**70),
    ],
)
def test_plain(value: Any, expected: Any) -> None:
    assert plain(value) == expected and type(plain(value)) is type(expected)


def test_an_optimizers_settings_pass_the_gate() -> None:
    class Optimizer:
        def __init__(self) -> None:
            self.api_key, self.learning_rate = "hunter2", 0.1

        def get_config(self) -> Any:
            raise NotImplementedError

    found = optimizer(Optimizer(), {})
    assert found["config"] == {"api_key": "[redacted]", "learning_rate": 0.1}


def test_what_refers_to_itself_ends() -> None:
    circle: list[Any] = []
    circle.append(circle)
    json.dumps(plain(circle))


@pytest.mark.parametrize("literal", [0.001, 0.1, 1e-7, 3e-4, 0.5, 1.0, 0.0, 123456.7, 1 / 3])
def test_the_shortest_number_of_a_float32(literal: float) -> None:
    as_keras_returns_it = float(np.float32(literal))
    found = shortest(as_keras_returns_it)
    assert np.float32(found) == np.float32(literal)
    if literal != 1 / 3:
        assert found == literal


def test_a_number_that_is_no_float32_stays() -> None:
    assert shortest(0.1) == 0.1 and math.isnan(shortest(math.nan)) and shortest(1e300) == 1e300


def test_json_has_no_nan() -> None:
    assert to_json([math.nan, math.inf, -math.inf]) == '["NaN", "Infinity", "-Infinity"]'


def test_flat() -> None:
    assert flat({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": "{}", "d": "[1]"}
