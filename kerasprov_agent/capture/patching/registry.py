"""What stands in the place of the program's functions and methods: put there, and taken out again.

A program may throw a package out and import it anew, so nothing here keeps a class or module alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from weakref import ref

Make = Callable[[type, Any], Any]
"""`make(owner, original)` returns our wrapper around what was found in a class."""


class Placed(NamedTuple):
    """A wrapper of ours that stands in a class or module; `owner` and `wrapper` are held weakly."""

    owner: ref[Any]
    name: str
    wrapper: ref[Any]
    asked: ref[type] | None
    """The class for which it was asked, which may have inherited the method from `owner`."""
    make: Make | None
    """How it is made again where another tool has taken it out; None: it is not."""


class Patches:
    """All wrappers of this process."""

    def __init__(self) -> None:
        self.on = False
        """Whether wrappers act. Those that can't be taken out do nothing while it is False."""
        self._placed: list[Placed] = []

    def put(
        self,
        owner: Any,
        name: str,
        wrapper: Any,
        asked: type | None = None,
        make: Make | None = None,
    ) -> None:
        """Put a wrapper of ours in its place; from now on wrappers act."""
        self.on = True
        self._placed[:] = [placed for placed in self._placed if placed.owner() is not None]
        class_asked = None if asked is None else ref(asked)
        placed = Placed(ref(owner), name, ref(_function(wrapper)), class_asked, make)
        self._placed.append(placed)
        setattr(owner, name, wrapper)

    def placed(self) -> Iterator[Placed]:
        """All that was put and not taken out; what comes meanwhile is left out."""
        yield from list(self._placed)

    def remove(self) -> None:
        """Take out every wrapper; where another tool's lies on top ours stays, switched off."""
        self.on = False
        while self._placed:
            placed = self._placed.pop()
            owner, wrapper = placed.owner(), placed.wrapper()
            if owner is None or wrapper is None:
                continue
            if _function(vars(owner).get(placed.name)) is wrapper:
                setattr(owner, placed.name, wrapper._self_original)


def marked(wrapper: Any, original: Any) -> Any:
    """A function of ours that is to be known again, and taken out for `original`.

    AutoGraph rewrites what a user's `tf.function` reaches, but not what has `autograph_info__`.
    """
    wrapper._self_kerasprov = True
    wrapper._self_original = original
    wrapper.autograph_info__ = {}
    return wrapper


def has_ours(function: Any) -> bool:
    """Whether a function is a wrapper of ours, or another tool's around one."""
    function = _function(function)
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        if getattr(type(function), "_self_kerasprov", False) or (
            "_self_kerasprov" in getattr(function, "__dict__", ())
        ):
            return True
        seen.add(id(function))
        function = getattr(function, "__wrapped__", None)
    return False


def _function(attribute: Any) -> Any:
    """Of a property, the function of ours: properties can't be referred to weakly."""
    if not isinstance(attribute, property):
        return attribute
    is_getter = "_self_kerasprov" in getattr(attribute.fget, "__dict__", ())
    return attribute.fget if is_getter else attribute.fset


patches = Patches()
"""Those of this process."""
