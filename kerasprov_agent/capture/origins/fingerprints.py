"""What an array holds, in a few numbers: enough to know it again in another array.

Rows are looked at, not arrays: a split, a shuffle or a selection keeps them. Of a row a few values
are taken and brought to one scale, so that `x / 255` is known again as well. Arrays are numpy's;
nothing of them is kept.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

ROWS = 1024
"""Of what a file held so many rows are remembered, evenly spaced ..."""
ROWS_COMPARED = 4096
"""... and so many of what is compared with it, in blocks that are evenly spaced."""
VALUES = 64
"""So many values of a row are looked at ..."""
PIECE_VALUES = 256
"""... and so many to tell apart which of many files a row came from."""
LEAST_VALUES = 8
"""A shorter row says too little by itself."""
STEPS = 256
"""The values of a row are brought to so many steps, from the least to the greatest ..."""
ROUNDINGS = (0.503, 0.253)
"""... in two ways: a value that lies at the edge of a step in one does not in the other."""


def rows(array: Any, limit: int) -> Any:
    """Two fingerprints (uint64) each of up to `limit` rows; None where they say nothing.

    A row is what lies under one index of the first dimension.
    """
    return _rows_at(array, some(len(array), limit) if array.ndim else None, VALUES)


def _rows_at(array: Any, indices: Any, values: int) -> Any:
    if array.ndim < 2 or array.dtype.kind not in "biuf" or not len(array):
        return None
    places = _places(array.shape[1:], values)
    if places is None:
        return None
    chosen = (indices[:, None], *places)
    return of_rows(array[chosen])


@lru_cache(64)
def _places(shape: tuple[int, ...], values: int) -> Any:
    """Where in a row of this shape its values are looked at; None where there are too few."""
    import numpy as np

    places = _flat_places(math.prod(shape), values)
    return np.unravel_index(places, shape) if len(places) >= LEAST_VALUES else None


def _flat_places(size: int, values: int) -> Any:
    import numpy as np

    return np.unique(np.linspace(0, size - 1, min(size, values)).astype(np.int64))


def piece(array: Any) -> Any:
    """The values of an array that are looked at where it may be a row of another; None: too few."""
    if array.dtype.kind not in "biuf":
        return None
    places = _places(array.shape, PIECE_VALUES)
    return None if places is None else array[places]


def of_pieces(pieces: Any, size: int) -> tuple[Any, Any]:
    """Fingerprints of what `piece` gave of arrays of one size, and which pieces have some.

    `pieces` has the shape (arrays, values). Those at equal steps, as `arange` and `linspace` give
    them, are anybody's and have none.
    """
    import numpy as np

    values = np.asarray(pieces, dtype=np.float64)
    is_telling = _is_telling(values)
    steps = np.diff(values[is_telling], axis=1) / np.diff(_flat_places(size, PIECE_VALUES))
    is_uneven = np.ptp(steps, axis=1) > 1e-5 * np.abs(steps).max(axis=1)
    is_telling[is_telling] = is_uneven
    return _of_telling(values[is_telling]), is_telling


def piece_rows(array: Any, indices: Any) -> Any:
    """The fingerprints of these rows, each of which may have been a piece by itself."""
    return _rows_at(array, indices, PIECE_VALUES)


def of_rows(sample: Any) -> Any:
    """Fingerprints of rows, each a vector of values; rows of one value alone are left out."""
    import numpy as np

    values = np.asarray(sample, dtype=np.float64)
    return _of_telling(values[_is_telling(values)])


def _is_telling(values: Any) -> Any:
    """Which rows are finite, and of more than two values.

    A row of two values, as of a mask or of a one-hot code, could be anybody's.
    """
    import numpy as np

    least, most = values.min(axis=1), values.max(axis=1)
    between = (values > least[:, None]) & (values < most[:, None])
    return between.any(axis=1) & np.isfinite(values).all(axis=1)


def _of_telling(values: Any) -> Any:
    """Fingerprints (uint64) of the shape (rows, 2)."""
    import numpy as np

    if not len(values):
        return np.empty((0, len(ROUNDINGS)), np.uint64)
    least, most = values.min(axis=1), values.max(axis=1)
    scaled = (values - least[:, None]) / (most - least)[:, None] * STEPS
    return np.stack(
        [_mixed(np, np.floor(scaled + rounding).astype(np.uint64)) for rounding in ROUNDINGS],
        axis=1,
    )


def values(array: Any) -> Any:
    """Fingerprints (uint64) of an array of one dimension, as a whole; None where it says nothing.

    Known again in the same order, whatever its type; a selection of it is not.
    """
    import numpy as np

    if array.ndim != 1 or array.dtype.kind not in "biuf" or len(array) < LEAST_VALUES:
        return None
    places = np.unique(np.linspace(0, len(array) - 1, 4 * VALUES).astype(np.int64))
    sample = array[places].astype(np.float32).astype(np.float64)
    if len(np.unique(sample)) < 2 or not np.isfinite(sample).all():
        return None
    whole = np.concatenate([[len(array)], sample]).view(np.uint64)
    return _mixed(np, whole[None])


def columns(table: Any, limit: int) -> Any:
    """Fingerprints of the single values of all columns, together; None where they say nothing.

    Columns whose values are not distinct enough are left out. `table` has the shape (rows,
    columns); of its rows up to `limit` are looked at.
    """
    import numpy as np

    if table.dtype.kind != "f" or not len(table):
        return None
    sample = np.sort(table[some(len(table), limit)].astype(np.float32) + 0.0, axis=0)
    is_finite = np.isfinite(sample)
    is_distinct = is_finite.copy()
    is_distinct[1:] &= sample[1:] != sample[:-1]
    distinct = is_distinct.sum(axis=0)
    is_telling = (distinct >= LEAST_VALUES) & (distinct >= is_finite.sum(axis=0) / 2)
    kept = sample[is_distinct & is_telling]
    return _mixed(np, kept.view(np.uint32).astype(np.uint64)[:, None]) if len(kept) else None


def some(length: int, limit: int) -> Any:
    """A sample of indices, in blocks, since memory is read in blocks, too."""
    import numpy as np

    if length <= limit:
        return np.arange(length)
    block = 16
    starts = np.linspace(0, length - block, max(1, limit // block)).astype(np.int64)
    return (starts[:, None] + np.arange(block)).reshape(-1)


def _mixed(np: Any, steps: Any) -> Any:
    """Rows of integers as one integer each."""
    weights = np.arange(1, steps.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    weights |= np.uint64(1)
    mixed = (steps + np.uint64(0x632BE59BD9B4E019)) * weights
    mixed ^= mixed >> np.uint64(29)
    mixed = (mixed * np.uint64(0xBF58476D1CE4E5B9)).sum(axis=1, dtype=np.uint64)
    return mixed ^ (mixed >> np.uint64(32))
