"""Millions of numbers and of files in little memory: what is remembered of what was read."""

from __future__ import annotations

import array
import marshal
import zlib
from collections.abc import Iterator
from typing import Any

from kerasprov_agent.capture.files.versions import Version

File = tuple[str, Version | None]
"""A path and a version."""

PENDING = 1 << 17
"""So many numbers are kept as they came before they are sorted in among the others ..."""
OWNERS_PENDING = 4096
"""... and those of so many owners."""
BLOCK = 1024
"""So many files are packed together; they take 20 to 40 bytes each."""


class Index:
    """Which owners have which numbers (uint64); 12 bytes for each. Owners are numbers, too.

    There are some tables, each at most half as large as the one before it, so that a number is
    moved only a few times and that few tables have to be looked at. Needs a lock around it.
    """

    def __init__(self) -> None:
        self.count = 0
        self._tables: list[tuple[Any, Any]] = []
        """Numbers in order, and the owner of each."""
        self._pending: list[tuple[Any, int]] = []
        self._pending_count = 0
        self._amounts = array.array("I")
        """By owner: how many different numbers it has."""

    def amount(self, owner: int) -> int:
        """How many different numbers an owner has."""
        return self._amounts[owner] if owner < len(self._amounts) else 0

    def add(self, numbers: Any, owner: int) -> None:
        """These are the numbers of an owner; owners come in order."""
        self._pending.append((numbers, owner))
        self._pending_count += len(numbers)
        self.count += len(numbers)
        if self._pending_count >= PENDING or len(self._pending) >= OWNERS_PENDING:
            self._settle()

    def owners(self, wanted: Any) -> Any:
        """The owner of each number that is found; one that has several of them comes as often.

        `wanted` are different numbers, in order.
        """
        import numpy as np

        self._settle()
        found = []
        for numbers, owners in self._tables:
            if len(wanted) <= len(numbers):
                first = np.searchsorted(numbers, wanted, "left")
                many = np.searchsorted(numbers, wanted, "right") - first
                starts, many = first[many > 0], many[many > 0]
                steps = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
                found.append(owners[np.repeat(starts, many) + steps])
            else:
                places = np.searchsorted(wanted, numbers)
                found.append(owners[wanted[np.minimum(places, len(wanted) - 1)] == numbers])
        return np.concatenate(found) if found else np.empty(0, np.uint32)

    def _settle(self) -> None:
        import numpy as np

        if not self._pending:
            return
        pending, self._pending, self._pending_count = self._pending, [], 0
        numbers = np.concatenate([some for some, _ in pending]).astype(np.uint64)
        lengths = [len(some) for some, _ in pending]
        owners = np.repeat(np.array([owner for _, owner in pending], np.uint32), lengths)
        order = np.argsort(numbers, kind="stable")  # so that the owners of a number are in order
        numbers, owners = numbers[order], owners[order]
        is_new = np.ones(len(numbers), bool)
        is_new[1:] = (numbers[1:] != numbers[:-1]) | (owners[1:] != owners[:-1])
        numbers, owners = numbers[is_new], owners[is_new]
        amounts = np.bincount(owners - len(self._amounts))
        self._amounts.frombytes(amounts.astype(np.uint32).tobytes())
        while self._tables and len(self._tables[-1][0]) < 2 * len(numbers):
            larger = self._tables.pop()
            numbers = np.concatenate([larger[0], numbers])
            owners = np.concatenate([larger[1], owners])
        order = np.argsort(numbers, kind="stable")  # fast for what is in order by parts
        self._tables.append((numbers[order], owners[order]))


class PackedFiles:
    """Files in the order in which they came, each known by its place."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._last: list[File] = []

    def __len__(self) -> int:
        return len(self._blocks) * BLOCK + len(self._last)

    def append(self, file: File) -> None:
        """One more file."""
        self._last.append(file)
        if len(self._last) == BLOCK:
            # Paths of one directory, and versions of files that were made together, are alike.
            self._blocks.append(zlib.compress(marshal.dumps(self._last), 1))
            self._last = []

    def at(self, places: list[int]) -> Iterator[File]:
        """The files at these places, which are in order."""
        block, files = -1, self._last
        for place in places:
            if place // BLOCK != block:
                block = place // BLOCK
                is_packed = block < len(self._blocks)
                files = (
                    marshal.loads(zlib.decompress(self._blocks[block])) if is_packed else self._last
                )
            yield files[place % BLOCK]
