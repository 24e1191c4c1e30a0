"""What can be said of GPUs on a machine without one: nothing is imported, nothing is guessed."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import row

COLUMNS = "gpu_allocated_seconds, gpu_busy_seconds, gpu_utilization, gpu_energy_joules"


def test_without_a_gpu_all_is_unknown_and_nothing_is_imported(recording: Path) -> None:
    before = set(sys.modules)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((8, 4), "float32")
    model.fit(x, x[:, :1], verbose=0)
    found = row(recording, f"SELECT {COLUMNS}, gpu_memory_peak_bytes FROM epoch")
    assert set(found.values()) == {None}
    assert not {"kerasprov_agent.capture.device.gpu", "pynvml"} & (set(sys.modules) - before)


def test_what_a_counter_grew_by_between_its_readings() -> None:
    from kerasprov_agent.capture.device.gpu import Curve

    curve = Curve()
    assert curve.grown(0, 1) is None
    for at, value in ((10.0, 100.0), (12.0, 300.0), (14.0, 300.0)):
        curve.add(at, value)
    assert curve.grown(10, 14) == pytest.approx(200)
    assert curve.grown(11, 13) == pytest.approx(100)
    assert curve.grown(9.5, 12) == pytest.approx(250)  # as fast just before as just after
    assert curve.grown(5, 12) is None and curve.grown(12, 20) is None
    curve.forget(13)
    assert curve.grown(12.5, 13.5) == pytest.approx(0)
