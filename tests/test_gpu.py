"""What can be said of GPUs on a machine without one: nothing is imported, nothing is guessed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tests.conftest import row

HOPPER, AMPERE, OLD = "gpm", "nvml samples", "nvml poll"
"""Devices by what they can be asked."""


class Nvml(ModuleType):
    """A stand-in for `pynvml` that answers as NVML's documentation says, of devices half busy.

    A sample of GPM holds the busy and all microseconds so far; the driver's own samples are taken
    each 0.1 s and kept for 16 s.
    """

    NVML_GPM_METRICS_GET_VERSION = 1
    NVML_GPM_METRIC_GRAPHICS_UTIL = 1
    NVML_GPU_UTILIZATION_SAMPLES = 1
    NVML_VALUE_TYPE_DOUBLE, NVML_VALUE_TYPE_UNSIGNED_INT = 0, 1

    def __init__(
        self, kind: str, busy: float = 0.5, mig: bool = False, may_read: bool = True
    ) -> None:
        super().__init__("pynvml")
        self.kind, self.busy, self.mig, self.began = kind, busy, mig, time.time()
        self.opened = self.allocated = 0
        self.may_read = may_read

    def nvmlInit(self) -> None:
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        assert uuid.startswith("GPU-")
        return uuid

    def nvmlDeviceGetMigMode(self, _handle: str) -> list[int]:
        return [int(self.mig), int(self.mig)]

    def nvmlDeviceGetTotalEnergyConsumption(self, _handle: str) -> int:
        return int((time.time() - self.began) * 100_000)  # 100 W, in millijoules

    def nvmlGpmQueryDeviceSupport(self, _handle: str) -> SimpleNamespace:
        return SimpleNamespace(isSupportedDevice=int(self.kind == HOPPER))

    def nvmlGpmSampleAlloc(self) -> SimpleNamespace:
        self.allocated += 1
        return SimpleNamespace(at=None)

    def nvmlGpmSampleFree(self, _sample: SimpleNamespace) -> None:
        self.allocated -= 1

    def nvmlGpmSampleGet(self, _handle: str, sample: SimpleNamespace) -> SimpleNamespace:
        sample.at = time.time()
        return sample

    def c_nvmlGpmMetricsGet_t(self) -> SimpleNamespace:
        metric = SimpleNamespace(metricId=None, nvmlReturn=999, value=0.0)
        return SimpleNamespace(metrics=[metric])

    def nvmlGpmMetricsGet(self, asked: SimpleNamespace) -> None:
        if not self.may_read:
            raise OSError("Insufficient Permissions")
        assert asked.version == 1 and asked.numMetrics == 1
        assert asked.sample1.at < asked.sample2.at and asked.metrics[0].metricId == 1
        asked.metrics[0].value, asked.metrics[0].nvmlReturn = self.busy * 100, 0

    def nvmlDeviceGetSamples(self, _handle: str, kind: int, after: int) -> tuple[int, list[object]]:
        if self.kind != AMPERE:
            raise OSError("Not Supported")
        assert kind == self.NVML_GPU_UTILIZATION_SAMPLES
        last = int(time.time() * 10)
        value = SimpleNamespace(uiVal=int(self.busy * 100))
        times = [number * 100_000 for number in range(last - 160, last + 1)]
        return self.NVML_VALUE_TYPE_UNSIGNED_INT, [
            SimpleNamespace(timeStamp=at, sampleValue=value) for at in times if at > after
        ]

    def nvmlDeviceGetUtilizationRates(self, _handle: str) -> SimpleNamespace:
        return SimpleNamespace(gpu=int(self.busy * 100), memory=1)


def sampled(
    monkeypatch: pytest.MonkeyPatch, nvml: Nvml, devices: tuple[int, ...] = (0,)
) -> dict[str, Any]:
    """What is told of some seconds in which a model trained on these devices."""
    from kerasprov_agent.capture.device import gpu

    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(gpu, "uuids", lambda numbers: [f"{number:032x}" for number in numbers])
    monkeypatch.setattr(gpu, "SHORTEST_SECONDS", 0.3)
    sampler = gpu.Sampler(None, devices)
    begin = time.perf_counter()
    time.sleep(0.5)
    found: dict[str, Any] = {}
    for _ in range(300):  # until it was asked often enough, on a slow machine
        found = sampler.between(begin, time.perf_counter())
        if found.get("gpu_energy_joules") is not None and (nvml.mig or not nvml.busy):
            break
        if found.get("gpu_busy_seconds") is not None:
            break
        time.sleep(0.2)
    sampler.stop()
    sampler._thread.join(60)
    assert nvml.opened == nvml.allocated == 0
    return found


@pytest.mark.parametrize("kind", [HOPPER, AMPERE, OLD])
def test_busy_seconds_come_from_what_is_most_exact(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    found = sampled(monkeypatch, Nvml(kind))
    assert found["gpu_source"] == kind
    assert found["gpu_utilization"] == pytest.approx(0.5, rel=0.2)
    assert found["gpu_busy_seconds"] > 0.2 and found["gpu_energy_joules"] > 0


def test_a_source_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that can be asked for its performance, by somebody else."""
    found = sampled(monkeypatch, Nvml(HOPPER, may_read=False))
    assert found["gpu_source"] == OLD and found["gpu_busy_seconds"] > 0


def test_of_two_devices_the_seconds_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    one = sampled(monkeypatch, Nvml(HOPPER))
    two = sampled(monkeypatch, Nvml(HOPPER), (0, 1))
    assert two["gpu_utilization"] == pytest.approx(one["gpu_utilization"], rel=0.2)
    assert two["gpu_busy_seconds"] > 0.4


@pytest.mark.parametrize(
    "nvml", [Nvml(HOPPER, mig=True), Nvml(AMPERE, busy=0)], ids=["a part of one", "said to be idle"]
)
def test_what_is_not_known_of_a_device_is_not_told(
    monkeypatch: pytest.MonkeyPatch, nvml: Nvml
) -> None:
    found = sampled(monkeypatch, nvml)
    assert found["gpu_energy_joules"] > 0
    assert not {"gpu_busy_seconds", "gpu_utilization", "gpu_source"} & found.keys()


def test_where_nvml_can_not_be_asked_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from kerasprov_agent.capture.device import gpu

    class Without(Nvml):
        def nvmlInit(self) -> None:
            raise OSError("NVML Shared Library Not Found")

    monkeypatch.setitem(sys.modules, "pynvml", Without(OLD))
    sampler = gpu.Sampler(None, (0,))
    sampler._thread.join(60)
    found = sampler.between(0, 10)
    assert {value for value in found.values() if value is not None} == set()


COLUMNS = "gpu_allocated_seconds, gpu_busy_seconds, gpu_source, gpu_utilization, gpu_energy_joules"


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
