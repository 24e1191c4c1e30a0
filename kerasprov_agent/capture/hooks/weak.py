"""Mappings and sets of the program's objects, by identity, which do not keep them alive.

The standard library's weak mappings compare keys by `__eq__` and `__hash__`. A model may be a
dataclass without a hash, or may equal another model by what it holds: then nothing would be
recorded, or two models would be taken for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar
from weakref import ref

V = TypeVar("V")


class ByIdentity(Generic[V]):
    """A value for each of some live objects. Threads may add while others iterate."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[ref[Any], V]] = {}

    def __setitem__(self, key: Any, value: V) -> None:
        number, entries = id(key), self._held

        def gone(reference: ref[Any]) -> None:
            # Another object may have got the same number by now.
            if number in entries and entries[number][0] is reference:
                del entries[number]

        self._held[number] = ref(key, gone), value

    def get(self, key: Any) -> V | None:
        """The value of an object; None if there is none."""
        entry = self._held.get(id(key))
        return entry[1] if entry is not None and entry[0]() is key else None

    def __contains__(self, key: Any) -> bool:
        entry = self._held.get(id(key))
        return entry is not None and entry[0]() is key

    def pop(self, key: Any) -> V | None:
        """Take an object out; returns its value, None if it had none."""
        value = self.get(key)
        if key in self:
            del self._held[id(key)]
        return value

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()

    def __iter__(self) -> Iterator[Any]:
        """The objects that are alive, in the order in which they were added."""
        for reference, _ in self._held.copy().values():
            key = reference()
            if key is not None:
                yield key


class Objects:
    """A set of live objects, by identity."""

    def __init__(self, objects: Iterable[Any] = ()) -> None:
        self._held: ByIdentity[None] = ByIdentity()
        for item in objects:
            self.add(item)

    def add(self, item: Any) -> None:
        """Add an object; twice is once, and keeps its first place."""
        if item not in self._held:
            self._held[item] = None

    def discard(self, item: Any) -> None:
        """Take an object out, if it is there."""
        self._held.pop(item)

    def clear(self) -> None:
        """Forget all."""
        self._held.clear()

    def __contains__(self, item: Any) -> bool:
        return item in self._held

    def __iter__(self) -> Iterator[Any]:
        return iter(self._held)
