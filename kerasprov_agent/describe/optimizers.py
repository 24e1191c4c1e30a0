"""Optimizers: class, configuration, learning rate."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.describe.values import is_scalar, plain_dict, public_name, shortest


def optimizer(opt: Any, constructor: Mapping[str, Any]) -> dict[str, Any]:
    """Describe an optimizer.

    Arguments:
        opt: a Keras optimizer.
        constructor: what its constructor was given, where it was seen; the literals stand there,
            while `get_config()` returns the learning rate after a trip through float32.

    Returns `class_name` (`Adam`), `config` (every value of it, a schedule with its own) and
    `learning_rate` (the number, None for a schedule).
    """
    config = _config(opt)
    for name, given in constructor.items():
        held = config.get(name)
        # The literal says more than what came back from float32, unless it was changed since.
        if (
            isinstance(given, float) and isinstance(held, float) and same_float32(given, held)
        ) or name not in config:
            config[name] = given
    rate = config.get("learning_rate")
    return {
        "class_name": public_name(type(opt)),
        "config": config,
        "learning_rate": rate if isinstance(rate, (int, float)) else None,
    }


def _config(opt: Any) -> dict[str, Any]:
    if callable(getattr(opt, "_learning_rate", None)) and not hasattr(
        opt._learning_rate, "get_config"
    ):
        # A plain callable: get_config() would warn on stderr and return marshalled bytecode.
        name = getattr(opt._learning_rate, "__name__", type(opt._learning_rate).__name__)
        if not hasattr(opt._learning_rate, "numpy") and not hasattr(opt._learning_rate, "value"):
            return {**_attributes(opt), "learning_rate": name}
    found = guard.attempt(opt.get_config)
    config = _attributes(opt) if found is None else plain_dict(found)
    for name, value in config.items():
        if isinstance(value, float):
            config[name] = shortest(value)
    return config


def _attributes(opt: Any) -> dict[str, Any]:
    found = {k: v for k, v in vars(opt).items() if not k.startswith("_") and is_scalar(v)}
    return plain_dict(found)


def same_float32(left: float, right: float) -> bool:
    """Whether two numbers are the same once stored as float32."""
    import struct

    try:
        return struct.pack("f", left) == struct.pack("f", right)
    except OverflowError:
        return False


def constructor(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values among what a constructor was given; the first argument is the rate."""
    given = {name: value for name, value in kwargs.items() if is_scalar(value)}
    if args and is_scalar(args[0]) and not isinstance(args[0], str):
        given.setdefault("learning_rate", args[0])
    return plain_dict(given)


def learning_rate(opt: Any) -> float | None:
    """The learning rate in force, a schedule evaluated at the present step; None if unknown."""
    if opt is None:
        return None
    value = getattr(getattr(opt, "_learning_rate", None), "_value", None)
    number = None if value is None else guard.attempt(_fetched, value)
    return guard.attempt(_learning_rate, opt) if number is None else shortest(number)


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
    if callable(rate) and not hasattr(rate, "numpy") and not hasattr(rate, "shape"):
        rate = rate(opt.iterations)  # Keras 2 hands out the schedule itself
    if not isinstance(rate, (int, float)) and hasattr(rate, "numpy"):
        rate = rate.numpy()
    return shortest(float(rate))
