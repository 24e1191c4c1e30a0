"""What is measured on the device: when it is idle, and which GPUs a model trains on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from kerasprov_agent import guard


def synchronize(
    backend: str | None, model: Any, logs: Mapping[str, Any] | None = None, on_gpu: bool = False
) -> bool:
    """Wait until the device has finished what was dispatched; False if that can't be told.

    JAX dispatches steps asynchronously: a clock read without this is wrong by a factor of ten.
    All outputs of a step become ready together, so one of them is waited for: a metric in `logs`,
    else the optimizer's step counter, which Keras 3.3 keeps aside while it trains. TensorFlow and
    torch are asynchronous on GPUs only.
    """
    if backend == "jax":
        return _block(model, logs or {})
    if backend == "torch":
        cuda = sys.modules["torch"].cuda
        if cuda.is_initialized():
            cuda.synchronize()
        return True
    if backend == "tensorflow":
        if on_gpu:
            sys.modules["tensorflow"].test.experimental.sync_devices()
        return True
    return False


def _block(model: Any, logs: Mapping[str, Any]) -> bool:
    for metric in logs.values():
        if hasattr(metric, "block_until_ready"):
            metric.block_until_ready()
            return True
    optimizer = getattr(model, "optimizer", None)
    value: Any = getattr(getattr(optimizer, "_iterations", None), "_value", None)
    if value is None:
        aside = (getattr(model, "_jax_state", None) or {}).get("optimizer_variables")
        value = aside[0] if aside else None
    if hasattr(value, "block_until_ready"):
        value.block_until_ready()
        return True
    return bool(logs)  # numbers on the host: the step that made them is over


def outside_of_graphs() -> AbstractContextManager[Any]:
    """Where values can be read although TensorFlow may be tracing a function of the program."""
    tensorflow: Any = sys.modules.get("tensorflow")
    return tensorflow.init_scope() if hasattr(tensorflow, "init_scope") else nullcontext()


def gpus_in_use(backend: str | None, model: Any) -> list[int]:
    """The GPUs on which the variables of a built model lie, as this process numbers them."""
    return guard.attempt(_gpus_in_use, backend, model) or []


def _gpus_in_use(backend: str | None, model: Any) -> list[int]:
    value = model.weights[0].value
    if backend == "tensorflow":
        tensorflow: Any = sys.modules["tensorflow"]
        if not tensorflow.config.list_logical_devices("GPU"):
            return []
        return list(range(int(model.distribute_strategy.num_replicas_in_sync)))
    if backend == "jax":
        return [device.local_hardware_id for device in value.devices() if device.platform != "cpu"]
    return [] if value.device.type == "cpu" else [value.device.index or 0]
