"""Of which Keras a model or an optimizer is: a program may have several, and several backends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from kerasprov_agent.capture.recorder import Recorder

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


def in_use(instance: Any, record: Recorder) -> dict[str, Any]:
    """What the Keras of a model or optimizer has that the execution's has not.

    From now on the record asks the devices of its backend.
    """
    facts = next((_owners[cls] for cls in type(instance).__mro__ if cls in _owners), {})
    record.backend = facts.get("backend", record.backend)
    known = record.keras
    return {NAMES[name]: value for name, value in facts.items() if value != known.get(name)}
