"""A small set of numbers, so that a file that is read again is recognised at almost no cost.

Imports nothing that Python has not loaded.
"""

from __future__ import annotations

PLACES = 1 << 10
"""So many places there are at first; each has 8 bytes, and at most two of three are taken."""
PLACES_LIMIT = 1 << 20
"""These are 8 MB. Who may forget begins anew beyond them: what is met again is then new."""
_BITS = (1 << 64) - 1


class Marks:
    """A set of numbers of 64 bits.

    Several threads may add at once. At worst a number is then forgotten, or told to be new twice.
    """

    def __init__(self, limit: int | None = PLACES_LIMIT) -> None:
        """`limit`: so many places at most; None: it never forgets."""
        self._limit = limit
        self._table = _table(PLACES)
        self._count = 0

    def add(self, number: int) -> bool:
        """Remember a number, negative ones too; returns whether it is new."""
        mark = number & _BITS or 1  # zero is an empty place
        table = self._table
        if not _put(table, mark):
            return False
        self._count += 1
        if self._count * 3 > len(table) * 2:
            self._grow(table)
        return True

    def __contains__(self, number: int) -> bool:
        return _find(self._table, number & _BITS or 1)[0]

    def clear(self) -> None:
        """Forget all of them."""
        self._table, self._count = _table(PLACES), 0

    def _grow(self, table: memoryview) -> None:
        if self._limit is not None and len(table) * 2 > self._limit:
            self.clear()
            return
        larger = _table(len(table) * 2)
        for mark in table:
            if mark:
                _put(larger, mark)
        self._table = larger


def _table(places: int) -> memoryview:
    return memoryview(bytearray(places * 8)).cast("Q")


def _find(table: memoryview, mark: int) -> tuple[bool, int]:
    """Whether a mark is there, and its place; a place of -1: nor is there room for it."""
    last = len(table) - 1
    # What `hash` gives for small integers differs in few bits.
    place = (mark ^ mark >> 32) & last
    for _ in range(last):
        if table[place] == mark:
            return True, place
        if not table[place]:
            return False, place
        place = (place + 1) & last
    return False, -1


def _put(table: memoryview, mark: int) -> bool:
    is_there, place = _find(table, mark)
    if place >= 0:  # else threads that added at once filled it: the next one makes it larger
        table[place] = mark
    return not is_there
