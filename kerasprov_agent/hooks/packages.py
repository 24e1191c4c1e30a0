"""Of which Keras a model or an optimizer is: a program may have several, and several backends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

NAMES = {
    "keras_package": "package",
    "keras_version": "version",
    "backend": "backend",
    "backend_version": "backend_version",
}
"""What is told of a Keras, and the parameter of a run that tells it."""

_owners: WeakKeyDictionary[type, Mapping[str, Any]] = WeakKeyDictionary()


def remember(owner: type, facts: Mapping[str, Any]) -> None:
    """Note of which Keras a class is; `facts` are those of `describe.machine.keras`."""
    _owners.setdefault(owner, facts)


def differing(instance: Any, usual: Mapping[str, Any]) -> dict[str, Any]:
    """What the Keras of a model or optimizer has that `usual`, the execution's, has not."""
    facts = next((_owners[cls] for cls in type(instance).__mro__ if cls in _owners), {})
    return {NAMES[column]: value for column, value in facts.items() if value != usual.get(column)}
