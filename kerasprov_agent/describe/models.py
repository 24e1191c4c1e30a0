"""Models: architecture, layers, parameter counts; and what `compile` was given."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.describe import numbers
from kerasprov_agent.describe.values import (
    dtype_name,
    list_shape,
    plain,
    public_name,
    to_json,
)

SEEING = ("tensorflow", "torch")
"""The backends on which a program may see what operations are executed to describe a model."""
ACTIVATION_LAYERS = frozenset(("ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax"))


def architecture(model: Any) -> dict[str, Any]:
    """Describe a model as it stands.

    Returns `id` (sha256 over the rest: two models built alike share it), `class_name`, `name`,
    `config` (JSON text; None where the class has none), `layers` (a list, see `_layer`),
    `parameters`, `trainable_parameters`, `non_trainable_parameters` (None before it is built).
    """
    layers = [_layer(layer, position, path) for position, (path, layer) in _numbered(model)]
    parameters = _count(model, "weights") if _built(model) else None
    trainable = _count(model, "trainable_weights") if _built(model) else None
    facts: dict[str, Any] = {
        "class_name": public_name(type(model)),
        "name": str(model.name),
        "config": _config(model),
        "layers": layers,
        "parameters": parameters,
        "trainable_parameters": trainable,
        "non_trainable_parameters": None if parameters is None else parameters - (trainable or 0),
    }
    facts["id"] = hashlib.sha256(to_json(facts).encode()).hexdigest()
    return facts


def _config(model: Any) -> str | None:
    if any(map(numbers.is_seen, SEEING)) and not _is_told_by_keras(model):
        return None
    config = guard.attempt(lambda: model.get_config())
    return None if config is None else to_json(plain(config))


def _is_told_by_keras(model: Any) -> bool:
    """Whether no `get_config` of the program's is called, which may execute anything."""
    return all(
        str(type(one).get_config.__module__).startswith(("keras.", "tf_keras."))
        for one in (model, *(layer for _, layer in _walk(model, "")))
    )


def _built(model: Any) -> bool:
    return bool(getattr(model, "built", False))


def _count(model: Any, kind: str) -> int:
    return sum(_size(variable) for variable in getattr(model, kind))


def _size(variable: Any) -> int:
    return math.prod(size or 0 for size in list_shape(variable.shape))


def _numbered(model: Any) -> Iterator[tuple[int, tuple[str, Any]]]:
    return enumerate(_walk(model, ""))


def _walk(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every layer in order, those of a nested model after it, with names joined by slashes."""
    for layer in getattr(model, "layers", None) or ():
        yield f"{prefix}{layer.name}", layer
        if getattr(layer, "layers", None):
            yield from _walk(layer, f"{prefix}{layer.name}/")


def _layer(layer: Any, position: int, path: str) -> dict[str, Any]:
    return {
        "position": position,
        "name": path,
        "class_name": public_name(type(layer)),
        "activation": _activation(layer),
        "dropout_rate": _dropout_rate(layer),
        "units": _integer(getattr(layer, "units", None)),
        "filters": _integer(getattr(layer, "filters", None)),
        "kernel_size": _text(getattr(layer, "kernel_size", None)),
        "output_shape": _output_shape(layer),
        "parameters": _count(layer, "weights") if _built(layer) else None,
        "trainable": bool(getattr(layer, "trainable", True)),
        "dtype": dtype_name(getattr(layer, "compute_dtype", None) or "") or None,
    }


def _activation(layer: Any) -> str | None:
    name = type(layer).__name__
    if name in ACTIVATION_LAYERS:
        return name.lower()
    activation = getattr(layer, "activation", None)
    if activation is None or isinstance(activation, str):
        return activation
    return str(getattr(activation, "__name__", type(activation).__name__))


def _dropout_rate(layer: Any) -> float | None:
    """The rate of a dropout layer, or the dropout of a recurrent or attention layer."""
    rate = getattr(layer, "rate", None) if "Dropout" in type(layer).__name__ else None
    if rate is None:
        rate = getattr(layer, "dropout", None)
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        return None
    return float(rate)


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return None if value is None else to_json(plain(value))


def _output_shape(layer: Any) -> str | None:
    output = guard.attempt(getattr, layer, "output")
    shape = getattr(output, "shape", None)
    return None if shape is None else to_json(list_shape(shape))


def hidden_activation(layers: list[dict[str, Any]]) -> str | None:
    """The activation that all hidden layers share; None when they differ or have none.

    The last layer that has an activation is the output; `linear` is none.
    """
    activations = [layer["activation"] for layer in layers if layer["activation"]]
    hidden = {name for name in activations[:-1] if name != "linear"}
    return hidden.pop() if len(hidden) == 1 else None


def dropout_rate(layers: list[dict[str, Any]]) -> float | None:
    """The dropout rate that all dropout layers share; None when they differ or there is none."""
    rates = {layer["dropout_rate"] for layer in layers if layer["dropout_rate"]}
    return rates.pop() if len(rates) == 1 else None


def compiled(model: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what a model is compiled with, its optimizer apart.

    `arguments` are those of `compile`; what Keras resolved them to stands on the model.
    """
    return {
        "loss": name_of(arguments.get("loss")),
        "loss_config": _detail(arguments.get("loss")),
        "loss_weights": _text(arguments.get("loss_weights")),
        "metrics": _text(names_of(arguments.get("metrics"))),
        "weighted_metrics": _text(names_of(arguments.get("weighted_metrics"))),
        "jit_compile": _boolean(getattr(model, "jit_compile", None)),
        "steps_per_execution": _steps_per_execution(model, arguments),
        "run_eagerly": _boolean(getattr(model, "run_eagerly", None)),
    }


def name_of(value: Any) -> str | None:
    """A loss or metric by name: what the user wrote, a function's name, an object's class."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, dict)):
        return to_json(names_of(value))
    if hasattr(value, "get_config"):
        return public_name(type(value))
    return str(getattr(value, "__name__", public_name(type(value))))


def names_of(value: Any) -> Any:
    """As `name_of`, through lists and dicts."""
    if isinstance(value, dict):
        return {str(key): names_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [names_of(item) for item in value]
    return name_of(value)


def _detail(value: Any) -> str | None:
    return to_json(plain(value)) if hasattr(value, "get_config") else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _steps_per_execution(model: Any, arguments: Mapping[str, Any]) -> int | None:
    return _integer(getattr(model, "steps_per_execution", None)) or _integer(
        arguments.get("steps_per_execution")
    )
