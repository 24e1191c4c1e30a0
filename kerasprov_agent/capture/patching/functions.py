"""Wrapping functions of modules, and methods that are as plain.

Plain functions with `__wrapped__`: they pickle by their name, and AutoGraph takes them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.patching.registry import has_ours, marked, patches
from kerasprov_agent.capture.patching.unseen import unseen
from kerasprov_agent.tracebacks import drop_frames

Before = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
"""`before(function, args, kwargs)` returns a token for `after`; None: there is nothing to do."""
After = Callable[[Any, Any, BaseException | None], None]
"""`after(token, result, exception)`."""


def apply(owner: Any, name: str, before: Before, after: After) -> None:
    """Wrap a function of a module or class, once; one that is not there is left alone."""
    patches.on = True
    original = vars(owner).get(name)
    if callable(original) and not has_ours(original):
        # One function may have several names; pickle finds it by the one where it is defined.
        wrappers = [placed.wrapper() for placed in patches.placed() if placed.make is None]
        known = (ours for ours in wrappers if getattr(ours, "_self_original", None) is original)
        ours = next(known, None) or _observed(original, before, after)
        home = sys.modules.get(getattr(original, "__module__", None) or "")
        for place, known_as in (owner, name), (home, getattr(original, "__qualname__", "")):
            if place is not None and vars(place).get(known_as) is original:
                patches.put(place, known_as, ours)


def replace(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    """Put what `make` makes of a method in its place, once: for methods called very often."""
    original = vars(owner)[name]
    if not has_ours(original):
        ours = functools.wraps(original)(make(original))
        patches.put(owner, name, marked(ours, original))


def replace_property(owner: type, name: str, fget: Any) -> None:
    """Put a function of ours in the place of the one by which a property is read."""
    patches.put(owner, name, property(marked(fget, vars(owner)[name])))


def _observed(function: Any, before: Before, after: After) -> Any:
    @functools.wraps(function)
    @unseen
    def observed(*args: Any, **kwargs: Any) -> Any:
        token = guard.call(before, function, args, kwargs) if patches.on else None
        try:
            result = function(*args, **kwargs)
        except BaseException as exc:
            drop_frames(exc)
            if token is not None:
                guard.call(after, token, None, exc)
            raise
        if token is not None:
            guard.call(after, token, result, None)
        return result

    return marked(observed, function)
