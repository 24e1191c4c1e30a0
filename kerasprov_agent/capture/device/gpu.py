"""What NVIDIA's driver tells of the GPUs while a model trains on them, off the training thread.

Nothing is imported or asked before a model lies on a GPU. NVML counts whole devices, whoever else
computes on them.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import deque
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from kerasprov_agent import guard, silence

PERIOD_SECONDS = 0.2
"""NVML refreshes its utilisation every 1/6 to 1 s."""
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


class Sampler:
    """Asks NVML for the utilisation and energy of some devices, on a thread of its own."""

    def __init__(self, backend: str | None, devices: Sequence[int]) -> None:
        self._backend, self._devices = backend, tuple(devices)
        self._busy, self._energy = Curve(), Curve()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kerasprov-gpu", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The training is over."""
        self._over.set()

    def between(self, begin: float, end: float) -> dict[str, float | int | None]:
        """The columns `gpu_*` of an epoch; `begin` and `end` are readings of `perf_counter`.

        Memory is asked of the backend, the rest of NVML, which tells nothing of short times.
        """
        return {
            "gpu_memory_peak_bytes": memory_peak(self._backend, self._devices),
            **(self._by_nvml(begin, end) if end - begin >= SHORTEST_SECONDS else {}),
        }

    def _by_nvml(self, begin: float, end: float) -> dict[str, float | None]:
        busy, energy = self._busy.grown(begin, end), self._energy.grown(begin, end)
        for curve in (self._busy, self._energy):
            curve.forget(end - SHORTEST_SECONDS)
        share = None if busy is None else busy / ((end - begin) * len(self._devices))
        return {"gpu_busy_seconds": busy, "gpu_utilization": share, "gpu_energy_joules": energy}

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
            shared = any(guard.attempt(_is_mig, pynvml, handle) for handle in handles)
            last, busy = perf_counter(), 0.0
            while handles:
                at = perf_counter()
                energy = guard.attempt(_energy, pynvml, handles)
                if energy is not None:
                    self._energy.add(at, energy)
                used = None if shared else guard.attempt(_utilization, pynvml, handles)
                if used is not None:
                    busy += used * (at - last)
                    self._busy.add(at, busy)
                last = at
                if self._over.wait(PERIOD_SECONDS):
                    return
        finally:
            pynvml.nvmlShutdown()


def _is_mig(pynvml: Any, handle: Any) -> bool:
    return bool(pynvml.nvmlDeviceGetMigMode(handle)[0])


def _utilization(pynvml: Any, handles: Sequence[Any]) -> float:
    """The devices' shares of busy time, added up."""
    rates = [float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu) for handle in handles]
    return sum(rates) / 100


def _energy(pynvml: Any, handles: Sequence[Any]) -> float:
    """Joules since the driver was loaded."""
    millijoules = [float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) for handle in handles]
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
