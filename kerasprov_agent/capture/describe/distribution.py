"""How a training is spread over devices: TensorFlow's strategies, Keras' distributions."""

from __future__ import annotations

import sys
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.describe.values import plain, public_name, to_json


def distribution(model: Any) -> dict[str, Any]:
    """`class_name`, `replicas`, `devices` (JSON) and a mesh's `shape` and `axis_names` (JSON).

    Empty where it is not spread.
    """
    return guard.attempt(_strategy, model) or guard.attempt(_distribution) or {}


def _strategy(model: Any) -> dict[str, Any] | None:
    """`Model.distribute_strategy`, TensorFlow only."""
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is None or "_Default" in type(strategy).__name__:
        return None
    return {
        "class_name": public_name(type(strategy)).rpartition(".")[2],
        "replicas": strategy.num_replicas_in_sync,
        "devices": to_json(plain(list(getattr(strategy.extended, "worker_devices", ())))),
    }


def _distribution() -> dict[str, Any] | None:
    """`keras.distribution.distribution()`, which is global."""
    keras = sys.modules.get("keras")
    distribution = keras.distribution.distribution() if keras is not None else None
    if distribution is None:
        return None
    mesh = distribution.device_mesh
    devices = [str(device) for device in mesh.devices.flatten()]
    return {
        "class_name": public_name(type(distribution)).rpartition(".")[2],
        "replicas": len(devices),
        "devices": to_json(devices),
        "shape": to_json(list(mesh.shape)),
        "axis_names": to_json(list(mesh.axis_names)),
    }
