"""What an object holds: in its attributes, in lists and dictionaries, in plain objects below.

No property and no method of the program's is called: only what stands in memory is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

DEPTH = 3
LOOKED_AT = 500
"""So many objects are looked at; a model may hold a list of all its samples."""
LIBRARIES = frozenset(
    ("jax", "jaxlib", "keras", "numpy", "pandas", "tensorflow", "tf_keras", "torch", "wrapt")
)
"""Objects of these, and of classes derived from theirs, are not looked into."""


def within(
    holder: Any, is_wanted: Callable[[Any], bool], known: set[int]
) -> Iterator[tuple[str, Any]]:
    """What is wanted among the things that an object holds, each with the way to it.

    The way is an attribute's name, with keys, indices and further names after dots. `known` are
    the ids of objects to be left out.
    """
    # TensorFlow's bookkeeping (`_self_…`) holds all once more; a public name says most.
    names = sorted(_attributes(holder), key=lambda attribute: attribute[0].startswith("_"))
    waiting = [(name, attribute, 0) for name, attribute in names if not name.startswith("_self_")]
    seen, looked_at = {*known, id(holder)}, 0
    while waiting and looked_at < LOOKED_AT:
        name, value, depth = waiting.pop(0)
        looked_at += 1
        if id(value) in seen:
            continue
        seen.add(id(value))
        if is_wanted(value):
            yield name, value
        elif depth < DEPTH:
            parts = _parts(value)[: LOOKED_AT - len(waiting)]
            waiting += [(f"{name}.{key}", part, depth + 1) for key, part in parts]


def _parts(value: Any) -> list[tuple[Any, Any]]:
    if type(value).__module__.startswith("tensorflow."):
        # TensorFlow's own dict and tuple, and its list
        value = getattr(value, "__wrapped__", getattr(value, "_storage", value))
    cls = type(value)
    if issubclass(cls, dict):
        return list(dict.items(value))
    if issubclass(cls, (list, tuple)):
        base = list if issubclass(cls, list) else tuple
        return list(enumerate(base.__getitem__(value, slice(LOOKED_AT))))
    return [] if issubclass(cls, type) or _is_of_library(cls) else _attributes(value)


def _is_of_library(cls: type) -> bool:
    return any(str(base.__module__).partition(".")[0] in LIBRARIES for base in cls.__mro__)


def _attributes(value: Any) -> list[tuple[str, Any]]:
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return []
    return (
        [(str(name), attribute) for name, attribute in attributes.items()]
        if type(attributes) is dict
        else []
    )
