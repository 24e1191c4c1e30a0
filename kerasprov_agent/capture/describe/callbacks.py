"""Callbacks with their settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kerasprov_agent.capture.describe.values import (
    NAMED,
    Plain,
    is_scalar,
    own_attributes,
    plain,
    public_name,
)
from kerasprov_agent.kinds import is_a

# What a callback counts while it runs, and what Keras sets on every one; neither is a setting.
STATE = frozenset(
    [
        "model",
        "params",
        "validation_data",
        "history",
        "epoch",
        "wait",
        "stopped_epoch",
        "best",
        "best_epoch",
        "best_weights",
        "cooldown_counter",
        "epochs_since_last_save",
        "last_epoch",
        "seen",
        "target",
        "current_best",
        "async_safe",
    ]
)


def callbacks(listed: Iterable[Any]) -> list[dict[str, Any]]:
    """Describe callbacks in their order: `class_name`, `settings`."""
    return [
        {"class_name": public_name(type(callback)), "settings": settings(callback)}
        for callback in listed
    ]


def settings(callback: Any) -> dict[str, Plain]:
    """The public plain attributes of a callback, functions by their names."""
    return {
        name: plain({name: value})[name]  # type: ignore[index]
        for name, value in vars(callback).items()
        if not name.startswith("_") and name not in STATE and _is_setting(value)
    }


def is_kind(callback: Any, name: str) -> bool:
    """Whether this is Keras' callback of that name, or of a class derived from it.

    A class of the program's own may bear the same name and hold something else.
    """
    return any(
        cls.__name__ == name and cls.__module__.partition(".")[0] in ("keras", "tf_keras")
        for cls in type(callback).__mro__
    )


def _is_setting(value: Any) -> bool:
    if is_scalar(value):
        return True
    if is_a(value, (list, tuple)):
        return len(value) <= 20 and all(item is not None and is_scalar(item) for item in value)
    return callable(value) and (is_a(value, NAMED) or "__name__" in own_attributes(value))
