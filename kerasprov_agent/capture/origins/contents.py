"""What the files held that were read: by fingerprints, so that it is known again in other arrays.

A source is an array of many rows, of which a selection is known again, too. A piece is one row of
an array, or the whole of it, as each of many pictures is.
"""

from __future__ import annotations

import math
import threading
from typing import Any

from kerasprov_agent.capture.origins import fingerprints
from kerasprov_agent.capture.origins.packed import File, Index, PackedFiles

SOURCES_LIMIT = 2000
"""So many arrays of many rows are remembered ..."""
NUMBERS_LIMIT = 4_000_000
"""... of so many fingerprints in all, which take 48 MB."""
PIECES_LIMIT = 1_000_000
"""So many files of which each held one piece are remembered: 50 MB of them."""
PIECES_PENDING = 256
"""So many pieces have their fingerprints made together, which takes a tenth as long for each."""
LEAST_SHARE = 0.25
"""Minimum share of the expected rows that must match; fewer may be chance ..."""
LEAST_ROWS = 3
"""... and so many."""
COLUMNS_LIMIT = 64
"""A table of more columns is known by its rows alone."""
ROWS_AT_ONCE = 4096
"""So many rows are compared with pieces at a time, which bounds the memory that it takes."""
ROWS_OF_A_PIECE = 20
"""Where an array has more rows than this for each piece of their size, some are compared."""


class Sources:
    """Arrays of many rows. Each has an owner, which is what is found again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: list[tuple[Any, int]] = []
        """Owners of arrays, and how long these are."""
        self._rows, self._columns = Index(), Index()
        self._values: dict[int, list[int]] = {}
        """By the fingerprint of an array of one dimension as a whole."""

    def forked(self) -> None:
        """In a forked child: another thread of the parent's may have held the lock."""
        self._lock = threading.Lock()

    def is_full(self) -> bool:
        """Whether no more are remembered."""
        numbers = self._rows.count + self._columns.count
        return len(self._known) >= SOURCES_LIMIT or numbers >= NUMBERS_LIMIT

    def add(self, owner: Any, array: Any, table: Any) -> None:
        """Remember an array; `table`: the frame that it came as, or the array itself."""
        rows = values = None
        if array is not None:
            rows = fingerprints.rows(array, fingerprints.ROWS)
            values = fingerprints.values(array)
        columns = of_columns(table, fingerprints.ROWS)
        with self._lock:
            place = len(self._known)
            self._known.append((owner, len(array) if array is not None and array.ndim else 0))
            for index, numbers in ((self._rows, rows), (self._columns, columns)):
                if numbers is not None and numbers.size:
                    index.add(numbers.reshape(-1), place)
            if values is not None:
                self._values.setdefault(int(values[0]), []).append(place)

    def find(self, array: Any) -> list[Any]:
        """The owners of what holds the rows, the columns or the values of an array."""
        if not self._known:
            return []
        values = fingerprints.values(array)
        rows = fingerprints.rows(array, fingerprints.ROWS_COMPARED)
        columns = of_columns(array, fingerprints.ROWS_COMPARED) if array.ndim <= 2 else None
        with self._lock:
            places = {*self._values.get(-1 if values is None else int(values[0]), ())}
            for index, ours in ((self._rows, rows), (self._columns, columns)):
                places.update(self._shared(index, ours, len(array) if array.ndim else 0))
            return [self._known[place][0] for place in sorted(places)]

    def _shared(self, index: Index, ours: Any, length: int) -> list[int]:
        """Those of which enough is in ours for one array to be a selection of the other."""
        import numpy as np

        if ours is None or not len(ours):
            return []
        places, counts = np.unique(index.owners(np.unique(ours)), return_counts=True)
        shared = []
        for place, count in zip(places.tolist(), counts.tolist(), strict=True):
            share = min(1.0, fingerprints.ROWS_COMPARED / max(length, 1))
            share *= min(1.0, length / max(self._known[place][1], 1))
            if count >= max(LEAST_ROWS, LEAST_SHARE * index.amount(place) * share):
                shared.append(place)
        return shared


class Pieces:
    """Files of which each held one row of an array, or all of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files = PackedFiles()
        self._index = Index()
        self._sizes: dict[int, int] = {}
        """How many pieces have so many numbers: a row of another size is none of them."""
        self._pending: list[tuple[int, Any, File]] = []
        """Sizes, values and files of those whose fingerprints are not made yet."""

    def forked(self) -> None:
        """In a forked child: another thread of the parent's may have held the lock."""
        self._lock = threading.Lock()

    def add(self, array: Any, file: File) -> None:
        """A file held an array."""
        values = fingerprints.piece(array)
        if values is None or len(self._files) >= PIECES_LIMIT:
            return
        with self._lock:
            self._sizes[array.size] = self._sizes.get(array.size, 0) + 1
            self._pending.append((array.size, values, file))
            if len(self._pending) >= PIECES_PENDING:
                self._settle()

    def find(self, array: Any) -> tuple[File, ...]:
        """The files that each held a row of an array, or the array itself, by their paths."""
        import numpy as np

        numbers = []
        if array.size in self._sizes and array.ndim:
            numbers.append(fingerprints.piece_rows(array[None], np.zeros(1, int)))
        of_rows_size = self._sizes.get(math.prod(array.shape[1:])) if array.ndim > 1 else None
        if of_rows_size is not None:
            limit = ROWS_AT_ONCE + ROWS_OF_A_PIECE * of_rows_size
            chosen = fingerprints.some(len(array), limit)
            for start in range(0, len(chosen), ROWS_AT_ONCE):
                some = chosen[start : start + ROWS_AT_ONCE]
                numbers.append(fingerprints.piece_rows(array, some))
        numbers = [some.reshape(-1) for some in numbers if some is not None]
        if not numbers:
            return ()
        wanted = np.unique(np.concatenate(numbers))
        with self._lock:
            self._settle()
            places = np.unique(self._index.owners(wanted))
            files = {*self._files.at(places.tolist())}
        return tuple(sorted(files, key=lambda file: file[0]))

    def _settle(self) -> None:
        import numpy as np

        pending, self._pending = self._pending, []
        by_size: dict[int, list[tuple[Any, File]]] = {}
        for size, values, file in pending:
            by_size.setdefault(size, []).append((values, file))
        for size, pieces in by_size.items():
            values = np.stack([values for values, _ in pieces])
            numbers, is_telling = fingerprints.of_pieces(values, size)
            kept = [file for (_, file), is_kept in zip(pieces, is_telling, strict=True) if is_kept]
            for number, file in zip(numbers, kept, strict=True):
                self._index.add(number, len(self._files))
                self._files.append(file)


def of_columns(value: Any, limit: int) -> Any:
    """Fingerprints of the single values of a table's columns, together; None where none tell."""
    import numpy as np

    if value is None or value.ndim not in (1, 2):
        return None
    if value.ndim == 2 and value.shape[1] > COLUMNS_LIMIT:
        return None
    if hasattr(value, "iloc") and value.ndim == 2:  # its columns may be of several types
        tables = [value.iloc[:, i].to_numpy() for i in range(value.shape[1])]
    else:
        tables = [value.to_numpy() if hasattr(value, "to_numpy") else value]
    tables = [table[:, None] if table.ndim == 1 else table for table in tables]
    prints = [fingerprints.columns(table, limit) for table in tables]
    kept = [of_table for of_table in prints if of_table is not None]
    return np.concatenate(kept) if kept else None
