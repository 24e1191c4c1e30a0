"""Optimizers: class, configuration, variables, learning rate."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.describe.values import is_scalar, plain_dict, public_name, shortest

STATE = frozenset(("built", "iterations"))
"""Public attributes of an optimizer that are no settings."""


def optimizer(opt: Any, constructor: Mapping[str, Any]) -> dict[str, Any]:
    """Describe an optimizer.

    Arguments:
        opt: a Keras optimizer.
        constructor: what its constructor was given, where it was seen; the literals stand there,
            while `get_config()` returns the learning rate after a trip through float32.

    Returns `class_name` (`Adam`), `name`, `config` (every value of it, a schedule with its own; and
    what the constructor took or the object holds that Keras leaves out) and `learning_rate` (the
    number, None for a schedule).
    """
    config = _config(opt)
    for name, value in constructor.items():
        held, given = config.get(name), _written(value)
        # The literal says more than what came back from float32, unless it was changed since.
        if (
            isinstance(given, float) and isinstance(held, float) and same_float32(given, held)
        ) or name not in config:
            config[name] = given
    inner = getattr(opt, "inner_optimizer", None)
    rate = config.get("learning_rate")
    if inner is not None:
        rate = _scaled_rate(config)
    return {
        "class_name": public_name(type(opt)),
        "name": guard.attempt(lambda: str(opt.name)),
        "config": config,
        "learning_rate": rate if isinstance(rate, (int, float)) else None,
    }


def _scaled_rate(config: Mapping[str, Any]) -> Any:
    """The learning rate within the configuration of a LossScaleOptimizer."""
    found = config.get("inner_optimizer")
    while isinstance(found, dict) and "learning_rate" not in found:
        found = found.get("config")
    return found["learning_rate"] if isinstance(found, dict) else None


def _config(opt: Any) -> dict[str, Any]:
    rate = getattr(opt, "_learning_rate", None)
    if _is_plain_callable(rate):
        # get_config() would warn on stderr, and return marshalled bytecode.
        found: Any = {"learning_rate": getattr(rate, "__name__", public_name(type(rate)))}
    else:
        found = guard.attempt(opt.get_config)
        if found is None:
            found = {"learning_rate": rate} if hasattr(rate, "get_config") else {}
        excluded = getattr(opt, "_exclude_from_weight_decay_pattern", None)
        excluded = excluded or getattr(opt, "_exclude_from_weight_decay_names", None)
        if excluded:
            pattern = getattr(excluded, "pattern", excluded)
            found = {**found, "exclude_from_weight_decay": pattern}
    config: dict[str, Any] = {**attributes(opt), **plain_dict(found)}
    return {name: _written(value) for name, value in config.items()}


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _written(item) for name, item in value.items()}
    return shortest(value) if isinstance(value, float) else value


def _is_plain_callable(rate: Any) -> bool:
    return callable(rate) and not any(
        hasattr(rate, name) for name in ("get_config", "numpy", "value")
    )


def attributes(opt: Any) -> dict[str, Any]:
    """The public plain attributes that an optimizer holds."""
    found = vars(opt).items()
    return plain_dict(
        {k: v for k, v in found if is_scalar(v) and not k.startswith("_") and k not in STATE}
    )


def of_model(model: Any) -> Iterator[tuple[str, Any]]:
    """The optimizers that a model holds, each with the attribute: `compile`'s own first."""
    own = getattr(model, "optimizer", None)
    if own is not None:
        yield "optimizer", own
    seen = {id(own)}
    for attribute, value in list(vars(model).items()):
        items = value if type(value).__name__ in ("list", "tuple", "TrackedList") else (value,)
        for item in items:
            if is_optimizer(item) and id(item) not in seen:
                seen.add(id(item))
                yield attribute, item


def is_optimizer(value: Any) -> bool:
    """Whether this is an optimizer of Keras."""
    cls = type(value)
    return hasattr(cls, "apply_gradients") and hasattr(cls, "get_config")


def variables(opt: Any) -> list[str] | None:
    """The paths of the variables that an optimizer trains; None before it is built."""
    found = getattr(opt, "_trainable_variables", None)
    if not found or not getattr(opt, "built", False):
        return None
    return [str(getattr(one, "path", None) or one.name) for one in found]


def counter(opt: Any) -> Any:
    """The variable in which an optimizer counts its steps (batches, if it accumulates)."""
    return guard.attempt(_counter, opt)


def _counter(opt: Any) -> Any:
    opt = getattr(opt, "inner_optimizer", opt)
    return vars(opt)["_iterations" if "_iterations" in vars(opt) else "iterations"]


def count(counted: Any) -> int | None:
    """The number in an optimizer's counter; None if it can't be read."""
    return None if counted is None else guard.attempt(lambda: int(_host(counted)))


def iterations(opt: Any) -> int | None:
    """How many steps an optimizer has counted so far."""
    return 0 if getattr(opt, "built", True) is False else count(counter(opt))


def same_float32(left: float, right: float) -> bool:
    """Whether two numbers are the same once stored as float32."""
    import struct

    try:
        return struct.pack("f", left) == struct.pack("f", right)
    except OverflowError:
        return False


def learning_rate(opt: Any) -> float | None:
    """The learning rate in force, a schedule evaluated at the present step; None if unknown."""
    opt = getattr(opt, "inner_optimizer", opt)
    if opt is None:
        return None
    value = getattr(getattr(opt, "_learning_rate", None), "_value", None)
    number = None if value is None else guard.attempt(_fetched, value)
    return guard.attempt(_learning_rate, opt) if number is None else shortest(number)


def loss_scale(opt: Any) -> float | None:
    """The present scale of a LossScaleOptimizer; None for any other."""
    scale = getattr(opt, "dynamic_scale", None)
    if scale is None:
        scale = getattr(opt, "initial_scale" if hasattr(opt, "built") else "loss_scale", None)
    return None if scale is None else guard.attempt(lambda: float(_host(scale)))


def _host(value: Any) -> Any:
    """The number in a variable or tensor, of Keras or of a backend."""
    value = getattr(value, "_value", value)
    if hasattr(value, "item"):
        return value.item()
    return value.numpy() if hasattr(value, "numpy") else value


def _fetched(value: Any) -> float | None:
    """The number in a backend's own variable, without the detour through Keras' that doubles it."""
    if hasattr(value, "item"):  # JAX, torch
        number: float = value.item()
        return number
    if type(value).__name__ == "ResourceVariable":
        tensorflow: Any = sys.modules["tensorflow"]
        read = tensorflow.raw_ops.ReadVariableOp
        return float(read(resource=value.handle, dtype=value.dtype).numpy())
    return None


def _learning_rate(opt: Any) -> float:
    rate = opt.learning_rate
    held = getattr(opt, "_learning_rate", rate)
    if callable(held) and not hasattr(held, "numpy") and not hasattr(held, "shape"):
        rate = held(opt.iterations)  # Keras 2 tells what the schedule gave for the last step
    return shortest(float(rate if isinstance(rate, (int, float)) else _host(rate)))
