"""Optimizers: class, configuration, variables, learning rate."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.describe import holdings, numbers
from kerasprov_agent.capture.describe.values import is_scalar, plain_dict, public_name, shortest
from kerasprov_agent.kinds import is_a

STATE = frozenset(("built", "iterations"))
"""Public attributes of an optimizer that are no settings."""


def optimizer(
    opt: Any, constructor: Mapping[str, Any], rate: float | None = None
) -> dict[str, Any]:
    """Describe an optimizer.

    Arguments:
        opt: a Keras optimizer.
        constructor: what its constructor was given, where it was seen; the literals stand there,
            while `get_config()` returns the learning rate after a trip through float32. That of the
            inner optimizer, where another one scales the loss for it.
        rate: the learning rate that it was given last, told where it can't be fetched unseen.

    Returns `class_name` (`Adam`), `name`, `config` (every value of it, a schedule with its own; and
    what the constructor took or the object holds that Keras leaves out) and `learning_rate` (the
    number, None for a schedule).
    """
    config = _config(opt, rate)
    if inner(opt) is not opt:
        config = _unwrapped(config, public_name(type(opt)))
    for name, value in constructor.items():
        current, given = config.get(name), _written(value)
        # The literal says more than what came back from float32, unless it was changed since.
        if (
            is_a(given, float) and is_a(current, float) and same_float32(given, current)
        ) or name not in config:
            config[name] = given
    return {
        "class_name": public_name(type(inner(opt))),
        "name": guard.attempt(lambda: str(opt.name)),
        "config": config,
        "learning_rate": _rate_within(config),
    }


def _unwrapped(config: dict[str, Any], wrapper: str) -> dict[str, Any]:
    """The configuration of an optimizer for which another one scales the loss: its `wrapper`."""
    inner_config = config.pop("inner_optimizer", None)
    while is_a(inner_config, dict) and is_a(inner_config.get("config"), dict):
        inner_config = inner_config["config"]
    return {
        **(inner_config if is_a(inner_config, dict) else {}),
        "wrapper": {"class_name": wrapper, **config},
    }


def _rate_within(config: Mapping[str, Any]) -> float | None:
    rate = config.get("learning_rate")
    return float(rate) if is_a(rate, (int, float)) and not is_a(rate, bool) else None


def _config(opt: Any, given_rate: float | None) -> dict[str, Any]:
    rate = _attribute(opt, "_learning_rate")
    if _is_plain_callable(rate):
        # get_config() would warn on stderr, and return marshalled bytecode.
        settings: Any = {"learning_rate": getattr(rate, "__name__", public_name(type(rate)))}
    else:
        package = numbers.library(counter(opt))
        if numbers.is_seen(package):
            settings = guard.attempt(_config_unseen, opt, given_rate)
        else:
            with numbers.unguarded(package):
                settings = guard.attempt(lambda: opt.get_config())
        if not is_a(settings, dict):
            settings = {"learning_rate": rate} if hasattr(rate, "get_config") else {}
        excluded = _attribute(opt, "_exclude_from_weight_decay_pattern")
        excluded = excluded or _attribute(opt, "_exclude_from_weight_decay_names")
        if excluded:
            pattern = getattr(excluded, "pattern", excluded)
            settings = {**settings, "exclude_from_weight_decay": pattern}
    config: dict[str, Any] = {**attributes(opt), **plain_dict(settings)}
    return {name: _written(value) for name, value in config.items()}


def _config_unseen(opt: Any, rate: float | None) -> dict[str, Any] | None:
    """What Keras tells of an optimizer, with the rate given in place of the one to be fetched.

    A class of the program's own may fetch anything to tell of itself: it is not asked.
    """
    if type(opt).get_config.__module__.partition(".")[0] not in ("keras", "tf_keras"):
        return None
    asked = _without_variables(opt)
    config: dict[str, Any] = asked.get_config()
    if inner(asked) is not asked:
        inner_config = _config_unseen(inner(asked), rate)
        config = {
            **config,
            "inner_optimizer": {**config["inner_optimizer"], "config": inner_config},
        }
    elif not is_scheduled(opt):
        config["learning_rate"] = rate
    return config


def _without_variables(opt: Any) -> Any:
    """An object with all that an optimizer holds, but a number where its learning rate is."""
    stand_in = object.__new__(type(opt))
    stand_in.__dict__.update(vars(opt))
    if not is_scheduled(opt):
        stand_in.__dict__["_learning_rate"] = 0.0
    if inner(opt) is not opt:
        stand_in.__dict__["inner_optimizer"] = _without_variables(inner(opt))
    return stand_in


def _written(value: Any) -> Any:
    if is_a(value, dict):
        return {name: _written(item) for name, item in value.items()}
    return shortest(value) if is_a(value, float) else value


def _is_plain_callable(rate: Any) -> bool:
    return callable(rate) and not any(
        hasattr(rate, name) for name in ("get_config", "numpy", "value")
    )


def attributes(opt: Any) -> dict[str, Any]:
    """The public plain attributes that an optimizer holds."""
    public = {k: v for k, v in vars(opt).items() if not k.startswith("_") and k not in STATE}
    return plain_dict({k: v for k, v in public.items() if is_scalar(v)})


def of_model(model: Any) -> Iterator[tuple[str, Any]]:
    """The optimizers that a model holds, each with the attribute: `compile`'s own first."""
    own = guard.attempt(getattr, model, "optimizer", None)
    known = set()
    if is_optimizer(own):
        known.add(id(own))
        yield "optimizer", own
    yield from holdings.within(model, is_optimizer, known)


def is_optimizer(value: Any) -> bool:
    """Whether this is an optimizer of Keras."""
    cls = type(value)
    return hasattr(cls, "apply_gradients") and hasattr(cls, "get_config")


def variables(opt: Any) -> list[str] | None:
    """The paths of the variables that an optimizer trains; None before it is built."""
    trained = getattr(opt, "_trainable_variables", None)
    if not trained or not getattr(opt, "built", False):
        return None
    return [str(getattr(variable, "path", None) or variable.name) for variable in trained]


def counter(opt: Any) -> Any:
    """The variable in which an optimizer counts its steps (batches, if it accumulates)."""
    return guard.attempt(_counter, opt)


def _counter(opt: Any) -> Any:
    attributes = vars(inner(opt))
    return attributes["_iterations" if "_iterations" in attributes else "iterations"]


def count(counted: Any) -> int | None:
    """The number in an optimizer's counter; None if it can't be read, or not unseen."""
    number = guard.attempt(numbers.number, counted)
    return int(number) if is_a(number, (int, float)) else None


def iterations(opt: Any) -> int | None:
    """How many steps an optimizer has counted so far."""
    return 0 if getattr(opt, "built", True) is False else count(counter(opt))


def same_float32(left: float, right: float) -> bool:
    """Whether two numbers are the same once stored as float32."""
    try:
        return struct.pack("f", left) == struct.pack("f", right)
    except OverflowError:
        return False


def inner(opt: Any) -> Any:
    """The optimizer whose loss another one scales; without such a one the optimizer itself."""
    wrapped = getattr(opt, "__dict__", {}).get("inner_optimizer")
    if wrapped is None and hasattr(type(opt), "inner_optimizer"):  # a property in Keras 2
        wrapped = _attribute(opt, "inner_optimizer")
    return wrapped if hasattr(type(wrapped), "apply_gradients") else opt


def is_scheduled(opt: Any) -> bool:
    """Whether a schedule or another function gives the learning rate."""
    rate = _attribute(inner(opt), "_learning_rate")
    return callable(rate) and not hasattr(rate, "numpy") and not hasattr(rate, "shape")


def learning_rate(opt: Any) -> float | None:
    """The learning rate in force, a schedule evaluated at the present step.

    None if it is unknown, or if the program would see that it is fetched.
    """
    return None if opt is None else guard.attempt(_learning_rate, inner(opt))


def assigned_rate(value: Any) -> float | None:
    """The learning rate that a value becomes once assigned, which makes a float32 of it."""
    number = guard.attempt(numbers.number, value)
    if not is_a(number, (int, float)):
        return None
    return shortest(struct.unpack("f", struct.pack("f", number))[0])


def loss_scale(opt: Any) -> float | None:
    """The present scale of a LossScaleOptimizer; None for any other."""
    scale = _attribute(opt, "dynamic_scale")
    if scale is None:
        scale = _attribute(opt, "initial_scale" if hasattr(opt, "built") else "loss_scale")
    number = guard.attempt(numbers.number, scale)
    return float(number) if is_a(number, (int, float)) else None


def _learning_rate(opt: Any) -> float | None:
    rate: Any = getattr(opt, "_learning_rate", None)
    if is_scheduled(opt):
        package = numbers.library(counter(opt))
        if numbers.is_seen(package, computed=True):
            return None
        with numbers.unguarded(package):
            rate = rate(opt.iterations)  # Keras 2 itself tells what it gave for the last step
    number = numbers.number(opt.learning_rate if rate is None else rate)
    return shortest(float(number)) if is_a(number, (int, float)) else None


def _attribute(opt: Any, name: str) -> Any:
    return guard.attempt(getattr, opt, name, None)
