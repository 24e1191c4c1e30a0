"""Values of metrics, as Keras reports them in logs and returns them from `evaluate`."""

from __future__ import annotations

import math
from typing import Any

from kerasprov_agent import guard
from kerasprov_agent.capture.describe import numbers
from kerasprov_agent.capture.describe.values import Plain, has, list_shape, number, plain

ELEMENTS_LIMIT = 1024
"""An array of more numbers is told by its shape alone."""
DIGITS_LIMIT = 4000
"""Python refuses to write whole numbers of more digits than 4300."""


def metric(value: Any) -> Plain:
    """A metric's value as a float; as lists of numbers where it is a small array.

    What is no number stays what it is: a text that looks like one is a text. A whole number that
    is too large for a float stays whole.
    """
    single = number(value)
    if single is not None:
        return _as_float(single)
    if has(value, "dtype") and has(value, "shape"):
        elements = guard.attempt(_elements, value)
        if elements is not None:
            return plain(elements)
    return plain(value)


def _as_float(value: bool | int | float) -> float | int | str:
    try:
        return float(value)
    except OverflowError:
        bits = int(value).bit_length()
        return value if bits < DIGITS_LIMIT * math.log2(10) else f"<int of {bits} bits>"


def _elements(value: Any) -> Any:
    size = math.prod(size or 0 for size in list_shape(value.shape))
    return numbers.elements(value) if 0 < size <= ELEMENTS_LIMIT else None
