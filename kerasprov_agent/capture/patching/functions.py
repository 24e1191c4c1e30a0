"""Wrapping functions of modules, and methods that are as plain: apply, switch off, remove.

Plain functions with `__wrapped__`: they pickle by their name, and AutoGraph takes them. Nothing
here keeps a module alive that the program throws out and imports anew.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import ref

from kerasprov_agent import guard
from kerasprov_agent.capture.patching.unseen import unseen

Before = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
"""`before(function, args, kwargs)` returns a token for `after`; None: there is nothing to do."""
After = Callable[[Any, Any, BaseException | None], None]
"""`after(token, result, exception)`."""


class _Applied(NamedTuple):
    owner: ref[Any]
    name: str
    ours: ref[Any]


_applied: list[_Applied] = []
_on = True


def apply(owner: Any, name: str, before: Before, after: After) -> None:
    """Wrap a function of a module or class, once; one that is not there is left alone."""
    global _on
    _on = True
    original = vars(owner).get(name)
    if callable(original) and not _is_ours(original):
        # One function may have several names; pickle finds it by the one where it is defined.
        wrappers = [one.ours() for one in _applied]
        known = (one for one in wrappers if getattr(one, "_self_original", None) is original)
        ours = next(known, None) or _observed(original, before, after)
        home = sys.modules.get(getattr(original, "__module__", None) or "")
        for place, known_as in (owner, name), (home, getattr(original, "__qualname__", "")):
            if place is not None and vars(place).get(known_as) is original:
                _put(place, known_as, ours)


def replace(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    """Put what `make` makes of a method in its place, once: for methods called very often."""
    original = vars(owner)[name]
    if not _is_ours(original):
        _put(owner, name, _marked(functools.wraps(original)(make(original)), original))


def replace_property(owner: type, name: str, fget: Any) -> None:
    """Put a function of ours in the place of the one by which a property is read."""
    fget._self_original = vars(owner)[name]
    _put(owner, name, property(fget))


def remove() -> None:
    """Take out every wrapper; where another tool's lies on top ours stays, switched off."""
    global _on
    _on = False
    while _applied:
        owner_ref, name, ours = _applied.pop()
        owner, function = owner_ref(), ours()
        if owner is None or function is None:
            continue
        if _function(vars(owner).get(name)) is function:
            setattr(owner, name, function._self_original)


def _put(owner: Any, name: str, ours: Any) -> None:
    _applied[:] = [one for one in _applied if one.owner() is not None]
    _applied.append(_Applied(ref(owner), name, ref(_function(ours))))
    setattr(owner, name, ours)


def _function(attribute: Any) -> Any:
    """Of a property, the getter: properties can't be referred to weakly."""
    return attribute.fget if isinstance(attribute, property) else attribute


def _observed(function: Any, before: Before, after: After) -> Any:
    @functools.wraps(function)
    @unseen
    def observed(*args: Any, **kwargs: Any) -> Any:
        token = guard.call(before, function, args, kwargs) if _on else None
        try:
            result = function(*args, **kwargs)
        except BaseException as exc:
            if exc.__traceback__ is not None:
                exc.__traceback__ = exc.__traceback__.tb_next
            if token is not None:
                guard.call(after, token, None, exc)
            raise
        if token is not None:
            guard.call(after, token, result, None)
        return result

    return _marked(observed, function)


def _marked(ours: Any, original: Any) -> Any:
    ours._self_kerasprov = True
    ours._self_original = original
    ours.autograph_info__ = {}
    return ours


def _is_ours(function: Any) -> bool:
    return "_self_kerasprov" in getattr(function, "__dict__", ())
