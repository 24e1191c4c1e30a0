"""Whose variables an optimizer trains: the live models, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.hooks.weak import Objects

_made = Objects()


def model_made(_args: Any, model: Any, _result: Any, _exc: BaseException | None) -> None:
    """Remember a model as long as it lives: whose variables an optimizer trains is asked later."""
    _made.add(model)


def with_variables(ids: set[int]) -> Iterator[Any]:
    """The models whose variables these are: the smallest with all of them, else its parts."""
    of_models: list[tuple[int, Any, set[int]]] = []
    made = list(_made)
    within = {id(getattr(model, "_functional", None)) for model in made}  # what a Sequential holds
    for model in made:
        if id(model) in within:
            continue
        variables = guard.attempt(getattr, model, "trainable_variables") or ()
        of_models.append((len(variables), model, set(map(id, variables))))
    whole = [entry for entry in of_models if ids and ids <= entry[2]]
    if whole:
        yield min(whole, key=lambda entry: entry[0])[1]
        return
    parts = [entry for entry in of_models if entry[2] and entry[2] <= ids]
    for _, model, own in parts:
        if not any(own < other for _, _, other in parts):
            yield model
