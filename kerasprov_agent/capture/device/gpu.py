"""What NVIDIA's driver tells of the GPUs while a model trains on them, off the training thread.

Nothing is imported or asked before a model lies on a GPU. NVML counts whole devices, whoever else
computes on them. All of it was tried with a stand-in for NVML that answers as its documentation
says, not yet on a GPU.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Protocol

from kerasprov_agent import guard, silence

PERIOD_SECONDS = 0.2
"""NVML refreshes its utilisation every 1/6 to 1 s."""
FAILURES_ALLOWED = 3
"""So often in a row a source may fail that has never answered; then the next one is tried."""
SHORTEST_SECONDS = 2.0
"""Of a shorter epoch NVML can tell nothing."""


class Curve:
    """A quantity that only grows, known at some moments; in between it grows evenly."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=100_000)

    def add(self, at: float, value: float) -> None:
        """It is `value` at the moment `at` (seconds)."""
        self._points.append((at, value))

    def grown(self, begin: float, end: float) -> float | None:
        """By how much it grew between two moments; None if it was not known around them."""
        before, after = self._at(begin), self._at(end)
        return None if before is None or after is None else after - before

    def forget(self, before: float) -> None:
        """Moments before this one are not asked for any more."""
        while len(self._points) > 2 and self._points[1][0] < before:
            self._points.popleft()

    def _at(self, moment: float) -> float | None:
        points = list(self._points)
        if len(points) < 2:
            return None
        if not points[0][0] - 1 <= moment <= points[-1][0] + 1:
            return None
        later = next((i for i, (at, _) in enumerate(points) if at >= moment), len(points) - 1)
        (t0, v0), (t1, v1) = points[max(later - 1, 0)], points[max(later, 1)]
        return v0 + (v1 - v0) * (moment - t0) / (t1 - t0)


class BusySeconds(Protocol):
    """The seconds in which a kernel ran on one device; raises where its source can't be asked."""

    def read(self, at: float) -> list[tuple[float, float]]:
        """The moments since before (`perf_counter`, seconds), with the busy seconds until each."""

    def close(self) -> None:
        """Give back what NVML holds for it."""


class Gpm:
    """NVML's performance monitoring (Hopper and later): the share of just the time since before."""

    def __init__(self, nvml: Any, handle: Any, at: float) -> None:
        if not nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice:
            raise OSError("the device has no performance monitoring")
        self._nvml, self._handle, self._at, self._busy = nvml, handle, at, 0.0
        self._before, self._after = nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()
        nvml.nvmlGpmSampleGet(handle, self._before)

    def read(self, at: float) -> list[tuple[float, float]]:
        self._nvml.nvmlGpmSampleGet(self._handle, self._after)
        asked = self._nvml.c_nvmlGpmMetricsGet_t()
        asked.version, asked.numMetrics = self._nvml.NVML_GPM_METRICS_GET_VERSION, 1
        asked.sample1, asked.sample2 = self._before, self._after
        asked.metrics[0].metricId = self._nvml.NVML_GPM_METRIC_GRAPHICS_UTIL
        self._nvml.nvmlGpmMetricsGet(asked)
        if asked.metrics[0].nvmlReturn:
            raise OSError(f"NVML's metric is not there: {asked.metrics[0].nvmlReturn}")
        self._busy += float(asked.metrics[0].value) / 100 * (at - self._at)
        self._before, self._after, self._at = self._after, self._before, at
        return [(at, self._busy)]

    def close(self) -> None:
        for sample in (self._before, self._after):
            self._nvml.nvmlGpmSampleFree(sample)


class Samples:
    """What the driver has sampled by itself and keeps for some seconds, with its times."""

    def __init__(self, nvml: Any, handle: Any, at: float) -> None:
        self._nvml, self._handle, self._busy = nvml, handle, 0.0
        self._behind = time.time() - at
        """The driver's times are of the wall clock, ours of `perf_counter`."""
        _, known = self._new(0)
        self._last = int(known[-1].timeStamp)

    def _new(self, after: int) -> Any:
        return self._nvml.nvmlDeviceGetSamples(
            self._handle, self._nvml.NVML_GPU_UTILIZATION_SAMPLES, after
        )

    def read(self, _at: float) -> list[tuple[float, float]]:
        kind, samples = self._new(self._last)
        number = "dVal" if kind == self._nvml.NVML_VALUE_TYPE_DOUBLE else "uiVal"
        moments = []
        for sample in samples:
            at = int(sample.timeStamp)
            if at > self._last:
                share = float(getattr(sample.sampleValue, number)) / 100
                self._busy += share * (at - self._last) / 1e6
                self._last = at
                moments.append((at / 1e6 - self._behind, self._busy))
        return moments

    def close(self) -> None:
        pass


class Polls:
    """The utilisation as it is now, which holds until it is asked again."""

    def __init__(self, nvml: Any, handle: Any, at: float) -> None:
        self._nvml, self._handle, self._at, self._busy = nvml, handle, at, 0.0
        nvml.nvmlDeviceGetUtilizationRates(handle)

    def read(self, at: float) -> list[tuple[float, float]]:
        share = float(self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu) / 100
        self._busy += share * (at - self._at)
        self._at = at
        return [(at, self._busy)]

    def close(self) -> None:
        pass


SOURCES: tuple[tuple[str, Callable[[Any, Any, float], BusySeconds]], ...] = (
    ("gpm", Gpm), ("nvml samples", Samples), ("nvml poll", Polls),
)  # fmt: skip
"""Of busy seconds, the most exact first."""


class Device:
    """One device: how its busy seconds grew, by the most exact source that answers."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self._untried = iter(SOURCES)
        self._counter: BusySeconds | None = None
        self._failures, self._has_answered = 0, False
        self.source: str | None = None
        self.busy = Curve()
        self._try_next()

    def _try_next(self) -> None:
        """A source that can't be asked at all, or has never answered, is given up."""
        self.close()
        for source, make in self._untried:
            at = perf_counter()
            self._counter = guard.attempt(make, self._nvml, self._handle, at)
            if self._counter is not None:
                self.source, self.busy, self._failures = source, Curve(), 0
                self.busy.add(at, 0.0)
                return

    def look(self) -> None:
        """Ask how busy the device was since the last time."""
        if self._counter is None:
            return
        moments = guard.attempt(self._counter.read, perf_counter())
        if moments is not None:
            self._has_answered = True
            for moment in moments:
                self.busy.add(*moment)
        elif not self._has_answered:
            self._failures += 1
            if self._failures == FAILURES_ALLOWED:
                self._try_next()

    def close(self) -> None:
        """Ask no more."""
        if self._counter is not None:
            guard.attempt(self._counter.close)
        self._counter = None


class Sampler:
    """Asks NVML for the busy time and the energy of some devices, on a thread of its own."""

    def __init__(self, backend: str | None, devices: Sequence[int]) -> None:
        self._backend, self._devices = backend, tuple(devices)
        self._energy = Curve()
        self._looked_at: list[Device] = []
        """None where a device is shared with others in parts."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kerasprov-gpu", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The training is over."""
        self._over.set()

    def between(self, begin: float, end: float) -> dict[str, float | int | str | None]:
        """The columns `gpu_*` of an epoch; `begin` and `end` are readings of `perf_counter`.

        Memory is asked of the backend, the rest of NVML, which tells nothing of short times.
        """
        return {
            "gpu_memory_peak_bytes": memory_peak(self._backend, self._devices),
            **(self._by_nvml(begin, end) if end - begin >= SHORTEST_SECONDS else {}),
        }

    def _by_nvml(self, begin: float, end: float) -> dict[str, float | str | None]:
        energy = self._energy.grown(begin, end)
        shares = [device.busy.grown(begin, end) for device in self._looked_at]
        for curve in (self._energy, *(device.busy for device in self._looked_at)):
            curve.forget(end - SHORTEST_SECONDS)
        columns: dict[str, float | str | None] = {"gpu_energy_joules": energy}
        busy = sum(share for share in shares if share is not None)
        # Some drivers say 0 for what they don't know; a device that trained was not idle.
        if shares and None not in shares and busy > 0:
            columns["gpu_busy_seconds"] = busy
            columns["gpu_utilization"] = busy / ((end - begin) * len(self._devices))
            columns["gpu_source"] = ", ".join(
                sorted({str(device.source) for device in self._looked_at})
            )
        return columns

    def _run(self) -> None:
        with silence.beside():
            guard.attempt(self._sample_until_over)

    def _sample_until_over(self) -> None:
        import pynvml  # type: ignore[import-not-found,import-untyped,unused-ignore]

        pynvml.nvmlInit()
        try:
            handles = [
                pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}") for uuid in uuids(self._devices)
            ]
            if not any(guard.attempt(_is_mig, pynvml, handle) for handle in handles):
                self._looked_at = [Device(pynvml, handle) for handle in handles]
            while handles:
                energy = guard.attempt(_energy, pynvml, handles)
                if energy is not None:
                    self._energy.add(perf_counter(), energy)
                if self._over.wait(PERIOD_SECONDS):
                    return
                for device in self._looked_at:
                    device.look()
        finally:
            for device in self._looked_at:
                device.close()
            pynvml.nvmlShutdown()


def _is_mig(nvml: Any, handle: Any) -> bool:
    return bool(nvml.nvmlDeviceGetMigMode(handle)[0])


def _energy(nvml: Any, handles: Sequence[Any]) -> float:
    """Joules since the driver was loaded; the counter moves about ten times a second."""
    millijoules = [float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) for handle in handles]
    return sum(millijoules) / 1000


def uuids(devices: Sequence[int]) -> list[str]:
    """The UUIDs of devices as this process numbers them, which NVML numbers otherwise.

    Asks the CUDA driver that the backend has loaded and initialised.
    """
    cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    uuids = []
    for number in devices:
        device, raw = ctypes.c_int(), (ctypes.c_ubyte * 16)()
        if cuda.cuDeviceGet(ctypes.byref(device), number):
            raise OSError(f"CUDA has no device {number}")
        if cuda.cuDeviceGetUuid(ctypes.byref(raw), device):
            raise OSError(f"CUDA does not tell the UUID of device {number}")
        text = bytes(raw).hex()
        parts = (text[:8], text[8:12], text[12:16], text[16:20], text[20:])
        uuids.append("-".join(parts))
    return uuids


def memory_peak(backend: str | None, devices: Sequence[int]) -> int | None:
    """The most that the backend's allocator has held on one of the devices so far, in bytes.

    It counts from the program's start: to set it back would take it from the program.
    """
    return guard.attempt(_memory_peak, backend, devices)


def _memory_peak(backend: str | None, devices: Sequence[int]) -> int:
    module: Any = sys.modules[backend or ""]
    if backend == "torch":
        return max(int(module.cuda.max_memory_allocated(number)) for number in devices)
    if backend == "tensorflow":
        info = module.config.experimental.get_memory_info
        return max(int(info(f"GPU:{number}")["peak"]) for number in devices)
    local = {device.local_hardware_id: device for device in module.local_devices()}
    return max(int(local[number].memory_stats()["peak_bytes_in_use"]) for number in devices)
