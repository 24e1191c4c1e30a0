"""Describing imports nothing: what Keras would import to find out counts as missing meanwhile.

To serialize an object Keras asks whether it is one of TensorFlow's, and imports TensorFlow to know.
Where the program has not imported it, no object of it can be there.
"""

from __future__ import annotations

import sys
from typing import Any

from kerasprov_agent import silence

_restored: list[tuple[Any, type]] = []


def install(package: str) -> None:
    """Let Keras' lazy modules load nothing for us; in place, for all of Keras that holds them."""
    module = sys.modules.get(f"{package}.src.utils.module_utils")
    base = getattr(module, "LazyModule", None)
    if base is None:
        return
    for lazy in vars(module).values():
        cls = type(lazy)
        if isinstance(lazy, base) and not hasattr(cls, "_kerasprov"):
            lazy.__class__ = _not_loading_for_us(cls)
            _restored.append((lazy, cls))


def remove() -> None:
    """Undo `install`."""
    while _restored:
        lazy, cls = _restored.pop()
        lazy.__class__ = cls


def _not_loading_for_us(base: type) -> type:
    def available(lazy: Any) -> Any:
        # The answer is not kept: other threads, and the program later, get the true one.
        return False if _would_load_for_us(lazy) else base.available.fget(lazy)  # type: ignore[attr-defined]

    def initialize(lazy: Any) -> Any:
        if _would_load_for_us(lazy):
            raise ImportError(f"{lazy.name} is not loaded")
        return base.initialize(lazy)  # type: ignore[attr-defined]

    names = {"__module__": base.__module__, "__qualname__": base.__qualname__}
    own = {"available": property(available), "initialize": initialize, "_kerasprov": True}
    return type(base.__name__, (base,), {**names, **own})


def _would_load_for_us(lazy: Any) -> bool:
    return silence.is_at_work() and lazy.name not in sys.modules
