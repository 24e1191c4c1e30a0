"""Wrapping methods of classes, and wrapping them again where another tool took ours out.

A plain closure on `Model.compile` would break `load_model`, which compares `cls.compile` with
`Trainer.compile`: a wrapt proxy equals what it wraps. wrapt's own proxies neither pickle nor
copy, which the methods of an uninstrumented Keras do; `Patch` does.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from types import MethodType
from typing import Any

import wrapt

from kerasprov_agent import guard
from kerasprov_agent.capture.patching.registry import Make, has_ours, marked, patches
from kerasprov_agent.capture.patching.unseen import unseen
from kerasprov_agent.tracebacks import drop_frames

Before = Callable[..., Any]
"""`before(wrapped, instance, args, kwargs)` returns a token for `after`."""
After = Callable[[Any, Any, Any, BaseException | None], None]
"""`after(token, instance, result, exception)`."""


class _BoundPatch(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    _self_kerasprov = True

    def __reduce_ex__(self, protocol: Any) -> Any:
        return getattr, (self._self_instance, self._self_parent._self_patched_name)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        instance = copy.deepcopy(self._self_instance, memo)
        return getattr(instance, self._self_parent._self_patched_name)


class Patch(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """Our wrapper around a method of a class."""

    __bound_function_wrapper__ = _BoundPatch
    _self_kerasprov = True

    def __init__(self, wrapped: Any, wrapper: Any, owner: type, name: str) -> None:
        super().__init__(wrapped, wrapper, enabled=_is_on)
        self._self_patched_class = owner
        self._self_patched_name = name
        self._self_original = wrapped

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        # `keras.Model.fit` is the same object each time, as a function is; wrapt makes new ones.
        return self if instance is None else super().__get__(instance, owner)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return getattr, (self._self_patched_class, self._self_patched_name)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


def _is_on() -> bool:
    return patches.on


def observe(before: Before | None, after: After | None) -> Callable[..., Any]:
    """A wrapt wrapper that calls `before` and `after` around the method, each guarded apart.

    The user's call stands outside of any `try` that would swallow; its result and its exception
    pass unchanged. Before Python 3.11 an exception keeps our frame in its traceback.
    """

    @unseen
    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        if instance is None and args:
            # Another tool took our wrapper out of the class and calls it as a plain function.
            instance, args = args[0], args[1:]
            wrapped = MethodType(wrapped, instance)
        token = before and guard.call(before, wrapped, instance, args, kwargs)
        try:
            result = wrapped(*args, **kwargs)
        except BaseException as exc:
            drop_frames(exc)
            if after is not None:
                guard.call(after, token, instance, None, exc)
            raise
        if after is not None:
            guard.call(after, token, instance, result, None)
        return result

    return wrapper


def apply(owner: type, name: str, wrapper: Callable[..., Any]) -> None:
    """Wrap a method of `owner`, once, whoever else has wrapped it.

    An inherited one is wrapped where it is defined: elsewhere `inspect.getdoc` would not find the
    text that it inherits.
    """
    _put(owner, name, lambda cls, original: Patch(original, wrapper, cls, name))


def apply_plain(owner: type, name: str, after: After) -> None:
    """As `apply`, by a plain function: AutoGraph warns of wrapt where it traces a user's loop.

    `after` gets the positional arguments for a token.
    """
    _put(owner, name, lambda _, original: _plain(original, original, after))


def apply_setter(owner: type, name: str, after: After) -> None:
    """Observe what is assigned to a property."""

    def make(_owner: type, original: Any) -> property:
        setter = _plain(original.fset, original, after)
        return property(original.fget, setter, original.fdel, original.__doc__)

    _put(owner, name, make)


def _put(owner: type, name: str, make: Make) -> None:
    place, original = _raw(owner, name)
    if not has_ours(original):
        patches.put(place, name, make(owner, original), asked=owner, make=make)


def _plain(function: Any, original: Any, after: After) -> Any:
    """A function around `function`, to be taken out again for `original`."""

    @functools.wraps(function)
    @unseen
    def observed(instance: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = function(instance, *args, **kwargs)
        except BaseException as exc:
            drop_frames(exc)
            raise
        if patches.on:
            guard.call(after, args, instance, result, None)
        return result

    return marked(observed, original)


def restore() -> None:
    """Wrap again what another tool has set back to Keras' own, as mlflow does when disabled."""
    for placed in patches.placed() if patches.on else ():
        if placed.asked is None or placed.make is None:
            continue
        asked, owner = placed.asked(), placed.owner()
        if asked is None or owner is None:
            continue
        _, present = _raw(asked, placed.name)
        if not has_ours(present) and _is_of(owner, present):
            _put(asked, placed.name, placed.make)


def _raw(owner: type, name: str) -> tuple[type, Any]:
    """The class that defines an attribute, and the attribute as it stands there, unbound."""
    for cls in owner.__mro__:
        if name in vars(cls):
            return cls, vars(cls)[name]
    raise AttributeError(f"{owner.__qualname__} has no {name}")


def _is_of(owner: type, function: Any) -> bool:
    """Whether a function is of the class' own package, not another tool's wrapper."""
    module = str(getattr(function, "__globals__", {}).get("__name__"))
    return module.partition(".")[0] == owner.__module__.partition(".")[0]
