"""Optimizers: when, where and with what literals each was constructed."""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import ref

from kerasprov_agent import clock
from kerasprov_agent.capture.describe import optimizers
from kerasprov_agent.capture.describe.values import is_scalar, plain_dict, to_json
from kerasprov_agent.capture.hooks import frames
from kerasprov_agent.capture.hooks.weak import ByIdentity
from kerasprov_agent.kinds import is_a


class Construction(NamedTuple):
    """What was seen of a constructor."""

    given: dict[str, Any]
    at: float
    place: str | None


_constructed: ByIdentity[Construction] = ByIdentity()
_variables: ByIdentity[list[str]] = ByIdentity()
_assigned: ByIdentity[float | None] = ByIdentity()
"""The learning rate that an optimizer was given after its construction, None for an unknown one."""


def before(_wrapped: Any, optimizer: Any, _args: Any, kwargs: Any) -> Construction:
    """Keep the plain values among the arguments: Keras makes float32 of the learning rate."""
    given = frames.arguments_of_constructor(optimizer) or dict(kwargs)
    plain = plain_dict({name: value for name, value in given.items() if is_scalar(value)})
    return Construction(plain, clock.now(), frames.program_place())


def after(
    seen: Construction | None, optimizer: Any, _result: Any, exc: BaseException | None
) -> None:
    """Remember them for as long as the optimizer lives."""
    if exc is None and seen is not None:
        _constructed[optimizer] = seen


def remember_variables(optimizer: Any, variables: Any) -> None:
    """An optimizer was built for these variables."""
    _variables[optimizer] = [
        str(getattr(variable, "path", None) or variable.name) for variable in variables
    ]


def remember_rate(optimizer: Any, rate: float | None) -> None:
    """An optimizer was given another learning rate, None for one that is not known."""
    _assigned[optimizer] = rate


def given_rate(optimizer: Any) -> float | None:
    """The learning rate that an optimizer was given last, as far as that was seen."""
    optimizer = optimizers.inner(optimizer)
    if optimizer in _assigned:
        return _assigned.get(optimizer)
    seen = _constructed.get(optimizer)
    rate = seen.given.get("learning_rate") if seen else None
    return float(rate) if is_a(rate, (int, float)) and not is_a(rate, bool) else None


def describe(optimizer: Any) -> dict[str, Any] | None:
    """The optimizer as `describe.optimizers.optimizer` tells it; None for none."""
    if optimizer is None:
        return None
    seen = _constructed.get(optimizers.inner(optimizer))
    return optimizers.optimizer(optimizer, seen.given if seen else {}, given_rate(optimizer))


class Held:
    """An optimizer that takes part in a run: how it was when that began, and how it is after.

    Its counter is kept, which tells the steps also when the optimizer itself is gone.
    """

    def __init__(self, attribute: str | None, optimizer: Any, before: int | None) -> None:
        seen = _constructed.get(optimizers.inner(optimizer))
        self.optimizer = ref(optimizer)
        self.counter = optimizers.counter(optimizer)
        self.before = before
        self.steps: int | None = None
        self.row = {
            "attribute": attribute,
            **(describe(optimizer) or {}),
            "constructed_at": clock.iso(seen.at) if seen else None,
            "constructed_in": seen.place if seen else None,
            "variables": _paths(optimizer),
            "iterations_before": before,
        }

    def after(self) -> dict[str, Any]:
        """The columns that are known when the run is over."""
        optimizer, count = self.optimizer(), optimizers.count(self.counter)
        if count is not None and self.before is not None:
            self.steps = count - self.before
        row: dict[str, Any] = {"iterations_after": count}
        if optimizer is not None:
            row["variables"] = _paths(optimizer)
        return row


def of_model(model: Any) -> list[Held]:
    """The optimizers that a model holds."""
    optimizers_of = optimizers.of_model(model)
    return [
        Held(name, optimizer, optimizers.iterations(optimizer)) for name, optimizer in optimizers_of
    ]


def used_ones(held_optimizers: list[Held]) -> dict[str, Any]:
    """The columns of a run that tell which of its optimizers trained; none where that is open."""
    if any(optimizer.steps is None for optimizer in held_optimizers):
        return {}
    used = [optimizer.row for optimizer in held_optimizers if optimizer.steps]
    names = dict.fromkeys(row["class_name"] for row in used)
    rates = {row["learning_rate"] for row in used}
    return {
        "optimizer": ", ".join(names) or None,
        "learning_rate": rates.pop() if len(rates) == 1 else None,
    }


def _paths(optimizer: Any) -> str | None:
    paths = _variables.get(optimizer) or optimizers.variables(optimizer)
    return to_json(paths) if paths else None
