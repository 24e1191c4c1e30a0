"""Optimizer constructors: the literals that the user wrote, before Keras makes float32 of them."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from kerasprov_agent.describe import optimizers

_constructed: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def before(_wrapped: Any, _optimizer: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """Keep the plain values among the arguments."""
    return optimizers.constructor(args, kwargs)


def after(
    given: dict[str, Any] | None, optimizer: Any, _result: Any, exc: BaseException | None
) -> None:
    """Remember them for as long as the optimizer lives."""
    if exc is None and given:
        _constructed[optimizer] = given


def describe(optimizer: Any) -> dict[str, Any] | None:
    """The optimizer as `describe.optimizers.optimizer` tells it; None for none."""
    if optimizer is None:
        return None
    return optimizers.optimizer(optimizer, _constructed.get(optimizer, {}))
