"""Models: architecture, layers, parameter counts; and what `compile` was given."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.describe import numbers
from kerasprov_agent.capture.describe.values import (
    attribute,
    integer,
    list_shape,
    number,
    plain,
    public_name,
    to_json,
)
from kerasprov_agent.kinds import is_a

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
    parameters = _count(model, "weights")
    trainable = _count(model, "trainable_weights")
    facts: dict[str, Any] = {
        "class_name": public_name(type(model)),
        "name": _name(model),
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
        str(type(part).get_config.__module__).startswith(("keras.", "tf_keras."))
        for part in (model, *(layer for _, (_, layer) in _numbered(model)))
    )


def _name(layer: Any) -> str:
    return str(attribute(layer, "name"))


def _count(layer: Any, kind: str) -> int | None:
    """How many numbers a layer's variables hold; None before it is built."""
    return guard.attempt(_counted, layer, kind) if attribute(layer, "built") is True else None


def _counted(layer: Any, kind: str) -> int:
    return sum(
        math.prod(size or 0 for size in list_shape(variable.shape))
        for variable in getattr(layer, kind)
    )


def _numbered(model: Any) -> Iterator[tuple[int, tuple[str, Any]]]:
    return enumerate(_walk(model, "", {id(model)}))


def _walk(model: Any, prefix: str, above: set[int]) -> Iterator[tuple[str, Any]]:
    """Every layer in order, those of a nested model after it, with names joined by slashes."""
    for layer in layers_of(model):
        path = f"{prefix}{_name(layer)}"
        yield path, layer
        if id(layer) not in above:
            yield from _walk(layer, f"{path}/", {*above, id(layer)})


def layers_of(model: Any) -> list[Any]:
    """The layers of a model; what else a program's own class calls `layers` are none."""
    layers = attribute(model, "layers")
    return [layer for layer in layers if _is_layer(layer)] if is_a(layers, (list, tuple)) else []


def _is_layer(value: Any) -> bool:
    cls = type(value)
    return hasattr(cls, "get_config") and hasattr(cls, "call") and hasattr(cls, "weights")


def _layer(layer: Any, position: int, path: str) -> dict[str, Any]:
    return {
        "position": position,
        "name": path,
        "class_name": public_name(type(layer)),
        "activation": _activation(layer),
        "dropout_rate": _dropout_rate(layer),
        "units": _integer(attribute(layer, "units")),
        "filters": _integer(attribute(layer, "filters")),
        "kernel_size": _sizes(attribute(layer, "kernel_size")),
        "output_shape": _output_shape(layer),
        "parameters": _count(layer, "weights"),
        "trainable": _boolean(attribute(layer, "trainable")) is not False,
        "dtype": _string(attribute(layer, "compute_dtype")),
    }


def _activation(layer: Any) -> str | None:
    name = type(layer).__name__
    if name in ACTIVATION_LAYERS:
        return name.lower()
    activation = attribute(layer, "activation")
    return name_of(activation) if is_a(activation, str) or callable(activation) else None


def _dropout_rate(layer: Any) -> float | None:
    """The rate of a dropout layer, or the dropout of a recurrent or attention layer."""
    rate = attribute(layer, "rate") if "Dropout" in type(layer).__name__ else None
    rate = number(attribute(layer, "dropout") if rate is None else rate)
    return None if rate is None or is_a(rate, bool) else float(rate)


def _integer(value: Any) -> int | None:
    return None if is_a(number(value), bool) else integer(value)


def _string(value: Any) -> str | None:
    return value if is_a(value, str) else None


def _sizes(value: Any) -> str | None:
    """One size or several, as JSON."""
    sizes = [_integer(item) for item in value] if is_a(value, (list, tuple)) else None
    if sizes is not None:
        return None if None in sizes else to_json(sizes)
    size = _integer(value)
    return None if size is None else to_json(size)


def _text(value: Any) -> str | None:
    return None if value is None else to_json(plain(value))


def _output_shape(layer: Any) -> str | None:
    shape = attribute(attribute(layer, "output"), "shape")
    return None if shape is None else to_json(list_shape(shape))


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
        "jit_compile": _boolean(attribute(model, "jit_compile")),
        "steps_per_execution": _steps_per_execution(model, arguments),
        "run_eagerly": _boolean(attribute(model, "run_eagerly")),
    }


def name_of(value: Any) -> str | None:
    """A loss or metric by name: what the user wrote, a function's name, an object's class."""
    if value is None or is_a(value, str):
        return value
    if is_a(value, (list, tuple, dict)):
        return to_json(names_of(value))
    own = None
    if not hasattr(type(value), "get_config"):  # an object's own `__getattr__` is not asked
        own = guard.ask(object.__getattribute__, value, "__name__")
    return public_name(type(value)) if own is None else str(own)


def names_of(value: Any) -> Any:
    """As `name_of`, through lists and dicts."""
    if is_a(value, dict):
        return {str(key): names_of(item) for key, item in value.items()}
    if is_a(value, (list, tuple)):
        return [names_of(item) for item in value]
    return name_of(value)


def _detail(value: Any) -> str | None:
    return to_json(plain(value)) if hasattr(type(value), "get_config") else None


def _boolean(value: Any) -> bool | None:
    numeral = number(value)
    return numeral if is_a(numeral, bool) else None


def _steps_per_execution(model: Any, arguments: Mapping[str, Any]) -> int | None:
    return _integer(attribute(model, "steps_per_execution")) or _integer(
        arguments.get("steps_per_execution")
    )
